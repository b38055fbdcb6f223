import { generateKeyPairSync } from 'node:crypto'
import { Readable } from 'node:stream'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { simpleParser } from 'mailparser'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startSmtp } from '../../../testing/smtp-server.ts'
import type { SmtpServer } from '../../../testing/smtp-server.ts'
import { memory } from '../drivers/memory.ts'
import { smtp } from '../drivers/smtp.ts'
import { createMailer } from '../index.ts'
import type { Mailer } from '../index.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const dkim = {
  domain: 'example.com',
  selector: 'forge',
  privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
}
const record = `v=DKIM1; k=rsa; p=${publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`
const resolver = async (name: string): Promise<string[][]> => {
  expect(name).toBe('forge._domainkey.example.com')
  return [[record]]
}

let server: SmtpServer
let mailer: Mailer
beforeAll(async () => {
  server = await startSmtp()
  const { host, port, ca } = server
  const driver = smtp({ host, port, ca, auth: { user: 'forge', pass: 'secret' } })
  mailer = createMailer(driver, { from: 'Förge <forge@example.com>', dkim })
})
afterAll(async () => {
  await mailer.close()
  await server[Symbol.asyncDispose]()
})

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const subject = 'Grüße aus 東京 — a subject that is long enough to be folded over more than one line of the header 😀'

describe('a mail', () => {
  it('comes back as it was written, from another parser', async () => {
    const big = Buffer.alloc(200_000, 'Ä'.codePointAt(0))
    await mailer.send({
      to: [{ name: 'Ada Løvelace', address: 'ada@example.com' }, 'bob@example.com'],
      cc: 'Čarli <carl@example.com>',
      bcc: 'eve@example.com',
      replyTo: 'help@example.com',
      subject,
      text: 'Grüße\n.\nFrom here\n',
      html: '<p>Grüße <img src="cid:logo@forge" alt="logo"></p>',
      headers: { 'X-Campaign': 'Frühling 2026' },
      locale: 'de-AT',
      attachments: [
        { filename: 'logo.png', content: png, cid: 'logo@forge' },
        {
          filename: 'Rechnung für März – 東京 "final".pdf',
          content: Readable.from([big.subarray(0, 70_000), big.subarray(70_000)]),
        },
        { filename: 'notes.txt', content: 'Ünïcode\r\nlines', contentType: 'text/plain' },
      ],
    })
    const { to, from, raw, secure, user } = server.mails.at(-1)!
    expect({ to, from, secure, user }).toEqual({
      to: ['ada@example.com', 'bob@example.com', 'carl@example.com', 'eve@example.com'],
      from: 'forge@example.com',
      secure: true,
      user: 'forge',
    })
    expect(
      Math.max(
        ...raw
          .toString()
          .split('\r\n')
          .map(({ length }) => length),
      ),
    ).toBeLessThan(998)
    expect(raw.toString().replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
    const mail = await simpleParser(raw, { skipImageLinks: true })
    expect(mail.subject).toBe(subject)
    expect(mail.from?.value).toEqual([{ name: 'Förge', address: 'forge@example.com' }])
    expect(mail.to).toMatchObject({
      value: [{ name: 'Ada Løvelace', address: 'ada@example.com' }, { address: 'bob@example.com' }],
    })
    expect(mail.cc).toMatchObject({ value: [{ name: 'Čarli', address: 'carl@example.com' }] })
    expect(raw.toString()).not.toContain('eve@')
    expect(mail.replyTo?.text).toBe('help@example.com')
    expect(mail.text?.trim()).toBe('Grüße\n.\nFrom here')
    expect(mail.html).toBe('<p>Grüße <img src="cid:logo@forge" alt="logo"></p>')
    expect(raw.toString()).toContain('X-Campaign: =?UTF-8?Q?Fr=C3=BChling_2026?=\r\n')
    expect(mail.headers.get('content-language')).toBe('de-AT')
    expect(mail.headers.get('auto-submitted')).toBe('auto-generated')
    const files = mail.attachments.map(({ filename, contentType, contentDisposition, related }) => [
      filename,
      contentType,
      contentDisposition,
      related,
    ])
    expect(files).toEqual([
      ['logo.png', 'image/png', 'inline', true],
      ['Rechnung für März – 東京 "final".pdf', 'application/pdf', 'attachment', undefined],
      ['notes.txt', 'text/plain', 'attachment', undefined],
    ])
    expect(mail.attachments[0]!.content.equals(png)).toBe(true)
    expect(mail.attachments[1]!.content.equals(big)).toBe(true)
  })

  it('says what its text is when it has only HTML, and hides its recipients when all are hidden', async () => {
    await mailer.send({
      bcc: ['a@example.com', 'b@example.com'],
      subject: 'x',
      html: '<h1>Hi</h1><p>a <a href="https://x.yz/?a=1&amp;b=2">link</a></p>',
    })
    const { raw, to } = server.mails.at(-1)!
    expect(to).toEqual(['a@example.com', 'b@example.com'])
    expect(raw.toString()).toMatch(/^To: "?undisclosed-recipients"?:;\r$/m)
    expect(raw.toString()).not.toMatch(/(?<![\w-])[ab]@example/)
    expect((await simpleParser(raw)).text?.trim()).toBe('Hi\n\na link (https://x.yz/?a=1&b=2)')
  })

  it('is refused when it is too large, however it comes', async () => {
    const small = createMailer(memory(), { from: 'forge@example.com', limit: 50_000 })
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(10_000)
      })(),
    )
    const mail = { to: 'ada@example.com', subject: 'x', text: 'x' }
    for (const content of [endless, Buffer.alloc(60_000), Buffer.alloc(45_000)])
      await expect(small.send({ ...mail, attachments: [{ filename: 'a', content }] })).rejects.toMatchObject({
        code: 'mailer.too_large',
      })
    expect(endless.destroyed).toBe(true)
    await small.send({ ...mail, attachments: [{ filename: 'a', content: Buffer.alloc(30_000) }] })
  })
})

describe('DKIM', () => {
  const unsubscribe = { url: 'https://example.com/u/abc', mailto: 'stop@example.com' }
  const verify = async (raw: Buffer): Promise<{ result: string | undefined; headers: string }> => {
    const { results } = await dkimVerify(raw, { resolver } as never)
    const [first] = results as { status: { result?: string }; signingHeaders?: { keys?: string } }[]
    return { result: first?.status.result, headers: first?.signingHeaders?.keys?.toLowerCase() ?? '' }
  }

  it('holds for another library, and covers both headers of one-click unsubscribing', async () => {
    await mailer.send({
      to: 'Ada <ada@example.com>',
      subject,
      text: 'Hi  there \n\n.\n trailing   \n\n\n',
      html: '<p>Hi</p>',
      unsubscribe,
      attachments: [{ filename: 'a.bin', content: Buffer.from([0, 13, 10, 255, 10, 13]) }],
    })
    const { raw } = server.mails.at(-1)!
    const { result, headers } = await verify(raw)
    expect(result).toBe('pass')
    for (const name of ['from', 'to', 'subject', 'date', 'message-id', 'list-unsubscribe', 'list-unsubscribe-post'])
      expect(headers.split(/:\s*/)).toContain(name)
    const text = raw.toString()
    expect(text).toContain('List-Unsubscribe: <https://example.com/u/abc>, <mailto:stop@example.com>')
    expect(text).toContain('List-Unsubscribe-Post: List-Unsubscribe=One-Click')
    for (const change of [
      text.replace('u/abc', 'u/abd'),
      text.replace('=One-Click', '=One-Clack'),
      text.replace('there', 'where'),
    ])
      expect((await verify(Buffer.from(change))).result).not.toBe('pass')
  })

  it('does not start with a key that cannot sign', () => {
    const ed25519 = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
    for (const wrong of [{ privateKey: 'x' }, { privateKey: ed25519 }, { selector: 'a;b' }, { domain: 'a b' }])
      expect(() => createMailer(memory(), { dkim: { ...dkim, ...wrong } })).toThrow(/option/)
  })
})
