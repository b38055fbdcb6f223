import type { KeptMail, Mailbox } from '../../../primitives/mailer/index.ts'

/** A mail in the list of the inbox. */
export interface MailSummary {
  readonly id: string
  readonly at: Date
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  /** Beginning of its text. */
  readonly preview: string
  readonly attachments: number
  readonly size: number
}

/** All of a mail but its bytes. */
export interface MailDetail extends MailSummary {
  readonly messageId: string
  readonly cc: readonly string[]
  readonly bcc: readonly string[]
  readonly envelope: { readonly from: string; readonly to: readonly string[] }
  readonly category: string | null
  readonly hasHtml: boolean
  readonly text: string
  readonly headers: readonly { readonly name: string; readonly value: string }[]
  readonly links: readonly string[]
  readonly files: readonly {
    readonly filename: string
    readonly contentType: string
    readonly size: number
    readonly inline: boolean
  }[]
}

export function summaryOf({ id, at, message, raw }: KeptMail): MailSummary {
  const { from, to, cc, bcc, subject, text, attachments } = message
  const shown = to.length > 0 ? to : [...cc, ...bcc]
  return {
    id,
    at,
    from: written(from),
    to: shown.map(written),
    subject,
    preview: text.slice(0, 300).replace(/\s+/g, ' ').trim().slice(0, 140),
    attachments: attachments.filter(({ cid }) => cid === undefined).length,
    size: raw.length,
  }
}

export function detailOf(mail: KeptMail): MailDetail {
  const { message, messageId, envelope, raw } = mail
  return {
    ...summaryOf(mail),
    messageId,
    to: message.to.map(written),
    cc: message.cc.map(written),
    bcc: message.bcc.map(written),
    envelope,
    category: message.category ?? null,
    hasHtml: message.html !== undefined,
    text: message.text,
    headers: headersOf(raw),
    links: linksOf(message.html, message.text),
    files: message.attachments.map(({ filename, content, contentType, cid }) => ({
      filename,
      contentType: contentType ?? 'application/octet-stream',
      size: content.length,
      inline: cid !== undefined,
    })),
  }
}

/** Whether the mail is about all words of `query`: in its subject, its text or an address. */
export function matches({ message }: KeptMail, query: string): boolean {
  const { from, to, cc, bcc, subject, text } = message
  const hay = [subject, text, ...[from, ...to, ...cc, ...bcc].map(written)].join('\n').toLowerCase()
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => hay.includes(word))
}

/** The HTML on its own: pictures of the mail in it, and its links in a new window. */
export function standaloneHtml({ message }: KeptMail): string {
  const { html = '', attachments } = message
  const shown = html.replace(/\bcid:([A-Za-z0-9._+-]+(?:@[A-Za-z0-9.-]+)?)/g, (whole, cid) => {
    const found = attachments.find((each) => each.cid === cid)
    if (found === undefined) return whole
    const { contentType, content, filename } = found
    const type = contentType ?? imageTypes[filename.split('.').at(-1)!.toLowerCase()] ?? 'application/octet-stream'
    return `data:${type};base64,${content.toString('base64')}`
  })
  return `<!doctype html><meta charset="utf-8"><base target="_blank">${shown.replace(/^\s*<!doctype[^>]*>/i, '')}`
}

const imageTypes: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  svg: 'image/svg+xml',
}

/** As they were sent, unfolded. */
function headersOf(raw: Buffer): { readonly name: string; readonly value: string }[] {
  const end = raw.indexOf('\r\n\r\n')
  const block = raw.subarray(0, end === -1 ? raw.length : end).toString()
  return block
    .replace(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
    .flatMap((line) => {
      const colon = line.indexOf(':')
      return colon <= 0 ? [] : [{ name: line.slice(0, colon), value: line.slice(colon + 1).trim() }]
    })
}

function linksOf(html: string | undefined, text: string): string[] {
  const found = [
    ...(html ?? '').matchAll(/\bhref\s*=\s*(?:"([^"]{1,4000})"|'([^']{1,4000})')/gi),
    ...text.matchAll(/(https?:\/\/[^\s<>"')\]]{1,4000})/g),
  ].map(([, one, two]) => (one ?? two)!.replaceAll('&amp;', '&').replaceAll('&#39;', "'"))
  return [...new Set(found.filter((link) => /^https?:\/\//i.test(link)))]
}

function written({ name, address }: Mailbox): string {
  return name === '' ? address : `${name} <${address}>`
}
