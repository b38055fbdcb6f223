import { createPrivateKey } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { CheckedMessage, Mailbox } from './message.ts'
import { mailerErrors } from './errors.ts'

/** RFC 6376. The key of `selector._domainkey.domain`. */
export interface DkimSettings {
  readonly domain: string
  readonly selector: string
  /** PEM, RSA of 1024 bits or more (RFC 8301). */
  readonly privateKey: string
}

/** RFC 6376 section 5.4.1, and both that RFC 8058 section 4 wants under the signature. */
const signedHeaders = [
  ...['From', 'Sender', 'Reply-To', 'Subject', 'Date', 'Message-ID', 'To', 'Cc', 'MIME-Version'],
  ...['Content-Type', 'Content-Transfer-Encoding', 'Content-Language', 'In-Reply-To', 'References', 'Auto-Submitted'],
  ...['List-Id', 'List-Unsubscribe', 'List-Unsubscribe-Post'],
].join(':')

/** The bytes of a mail: encoded words, folded lines, alternatives within related within mixed parts. */
export async function compose(message: CheckedMessage): Promise<Buffer> {
  const { default: MailComposer } = await loaded(() => import('nodemailer/lib/mail-composer'))
  const { from, to, cc, replyTo, subject, text, html, attachments, headers, messageId, date } = message
  const list = (boxes: readonly Mailbox[]): { name: string; address: string }[] => boxes.map((box) => ({ ...box }))
  // Nobody but the recipients of Bcc knows of them: they stand in the envelope alone.
  const mail = new MailComposer({
    from: { ...from },
    ...(to.length > 0 ? { to: list(to) } : cc.length === 0 && { headers: { To: 'undisclosed-recipients:;' } }),
    ...(cc.length > 0 && { cc: list(cc) }),
    ...(replyTo.length > 0 && { replyTo: list(replyTo) }),
    subject,
    text,
    ...(html !== undefined && { html }),
    attachments: attachments.map(({ filename, content, contentType, cid }) => ({
      filename,
      content,
      ...(contentType !== undefined && { contentType }),
      ...(cid !== undefined && { cid, contentDisposition: 'inline' }),
    })),
    messageId,
    date,
    disableFileAccess: true,
    disableUrlAccess: true,
    newline: 'windows',
  }).compile()
  for (const [name, value] of Object.entries(headers)) mail.addHeader(name, value)
  return mail.build()
}

/** Throws `mailer.option_invalid` when the key is none. */
export function checkDkim({ domain, selector, privateKey }: DkimSettings): void {
  const fail = (reason: string): never => {
    throw mailerErrors.error('mailer.option_invalid', { meta: { option: 'dkim', reason } })
  }
  if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/i.test(domain)) fail('the domain is none')
  if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(selector)) fail('the selector is none')
  try {
    const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey(privateKey)
    if (asymmetricKeyType !== 'rsa') fail('the private key is not of the kind RSA')
    if ((asymmetricKeyDetails?.modulusLength ?? 0) < 1024) fail('the private key has less than 1024 bits')
  } catch (error) {
    if (mailerErrors.is(error)) throw error
    fail('the private key cannot be read')
  }
}

/** The mail with its signature in front. */
export async function sign(raw: Buffer, { domain, selector, privateKey }: DkimSettings): Promise<Buffer> {
  const { default: Dkim } = await loaded(() => import('nodemailer/lib/dkim'))
  const key = { domainName: domain, keySelector: selector, privateKey }
  return buffer(new Dkim({ keys: key, headerFieldNames: signedHeaders }).sign(raw))
}

async function loaded<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND')
      throw new Error('Mails need the package nodemailer: npm install nodemailer', { cause: error })
    throw error
  }
}
