import { simpleParser } from 'mailparser'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startSmtp } from '../../../testing/smtp-server.ts'
import type { SmtpServer } from '../../../testing/smtp-server.ts'
import { smtp } from '../drivers/smtp.ts'
import { createMailer, mailerErrors, readAddress } from '../index.ts'
import type { Mailer, Message } from '../index.ts'

let server: SmtpServer
let mailer: Mailer
beforeAll(async () => {
  server = await startSmtp({ auth: false })
  mailer = createMailer(smtp({ host: server.host, port: server.port, ca: server.ca }), { from: 'forge@example.com' })
})
afterAll(async () => {
  await mailer.close()
  await server[Symbol.asyncDispose]()
})

const good: Message = { to: 'ada@example.com', subject: 'Hello', text: 'Hi' }
const injected = 'Bcc: eve@evil.example'
/** What ends a line somewhere, or is taken for something else by somebody. */
const breaks = ['\r\n', '\n', '\r', '\0', '\u0085', '\u2028', '\u2029', '\v', '\f', '\r\n ', '\n\t', '\u202e', '\ud800']
const lines = breaks.map((each) => `a${each}${injected}`)
const file = { filename: 'a.txt', content: 'a' }

const addresses = [
  'ada@example.com, eve@evil.example',
  'ada@example.com; eve@evil.example',
  'ada@example.com eve@evil.example',
  'ada@example.com\teve@evil.example',
  '<ada@example.com> <eve@evil.example>',
  'Ada <ada@example.com>, Eve <eve@evil.example>',
  'Ada <ada@example.com><eve@evil.example>',
  'eve@evil.example <ada@example.com>',
  'Friends: ada@example.com, eve@evil.example;',
  '"eve@evil.example"@example.com',
  '"eve@evil.example x"@example.com',
  '"ada, eve@evil.example"@example.com',
  '"ada>, <eve@evil.example"@example.com',
  'ada@example.com>,<eve@evil.example',
  '"a\\"@evil.example, b"@example.com',
  'ada(eve@evil.example)@example.com',
  'ada@example.com(comment)',
  '@evil.example:ada@example.com',
  '<@evil.example:ada@example.com>',
  'ada@@example.com',
  'ada@evil.example@example.com',
  'ada@[127.0.0.1]',
  'ada@127.0.0.1',
  'ada@example.com:25',
  'ada@example.com/x',
  'ada@exa mple.com',
  'ada@-example.com',
  'ada@example..com',
  'ada@.example.com',
  'ada@',
  '@example.com',
  'ada',
  '',
  ' ',
  '.ada@example.com',
  'ada.@example.com',
  'a..da@example.com',
  'ädа@example.com',
  `${'a'.repeat(65)}@example.com`,
  `a@${'b'.repeat(64)}.com`,
  `a@${'b.'.repeat(130)}com`,
  'ada@example.com> SIZE=1',
  'ada@example.com> NOTIFY=SUCCESS ORCPT=rfc822;eve@evil.example',
  'ada@example.com\r\nRCPT TO:<eve@evil.example>',
  'ada@example.com\nDATA',
  'ada@exam%70le.com',
  'ada@exаmple .com',
]

const hostile: readonly (readonly [field: string, message: unknown])[] = [
  ...lines.map((value) => ['subject', { ...good, subject: value }] as const),
  ...lines.map((name) => ['to', { ...good, to: { name, address: 'ada@example.com' } }] as const),
  ...lines.slice(0, 5).map((name) => ['from', { ...good, from: { name, address: 'forge@example.com' } }] as const),
  ...lines.slice(0, 4).map((value) => ['headers.X-Note', { ...good, headers: { 'X-Note': value } }] as const),
  ...lines.map((filename) => ['attachments[0].filename', { ...good, attachments: [{ ...file, filename }] }] as const),
  ...lines.slice(0, 3).map((cid) => ['attachments[0].cid', { ...good, attachments: [{ ...file, cid }] }] as const),
  ...['text/plain\r\nX: y', 'text', 'message/rfc822', 'multipart/mixed', 'a/b; x="y\r\n"'].map(
    (contentType) => ['attachments[0].contentType', { ...good, attachments: [{ ...file, contentType }] }] as const,
  ),
  ...['../../etc/passwd', '/etc/passwd', 'C:\\boot.ini', '..', '.', ' '].map(
    (filename) => ['attachments[0].filename', { ...good, attachments: [{ ...file, filename }] }] as const,
  ),
  ...addresses.map((to) => ['to', { ...good, to }] as const),
  ...addresses.slice(0, 8).map((to) => ['to[1]', { ...good, to: ['ada@example.com', to] }] as const),
  ...addresses.slice(0, 4).map((address) => ['bcc', { ...good, bcc: { address } }] as const),
  ...addresses.slice(0, 4).map((replyTo) => ['replyTo', { ...good, replyTo }] as const),
  ...['Bcc', 'bcc', 'To', 'From', 'Subject', 'DKIM-Signature', 'Content-Type', 'Return-Path', 'Received'].map(
    (name) => [`headers.${name}`, { ...good, headers: { [name]: 'eve@evil.example' } }] as const,
  ),
  ...['X:', 'X Y', 'X\\r\\nBcc', '', 'Ä', '__proto__ '].map(
    (name) => [`headers.${name}`, { ...good, headers: { [name.replace('\\r\\n', '\r\n')]: 'x' } }] as const,
  ),
  ['attachments[0].content', { ...good, attachments: [{ filename: 'a', path: '/etc/passwd' }] }],
  ['attachments[0].content', { ...good, attachments: [{ filename: 'a', content: { path: '/etc/passwd' } }] }],
  ['attachments[0].content', { ...good, attachments: [{ filename: 'a', href: 'http://169.254.169.254/' }] }],
  ['html', { ...good, html: { path: '/etc/passwd' } }],
  ['text', { ...good, text: { href: 'http://169.254.169.254/' } }],
  ['envelope', { ...good, envelope: { to: 'eve@evil.example' } }],
  ['raw', { ...good, raw: injected }],
  ['unsubscribe.url', { ...good, unsubscribe: { url: 'http://evil.example/' } }],
  ['unsubscribe.url', { ...good, unsubscribe: { url: 'https://a.example/>, <mailto:eve@evil.example' } }],
  ['locale', { ...good, locale: 'en\r\nBcc: eve@evil.example' }],
  ['text', { ...good, text: 'a\0b' }],
]

describe('hostile mails', () => {
  it('are more than a hundred', () => {
    expect(hostile.length).toBeGreaterThan(100)
  })

  it.each(hostile)('are refused with a word about %s (%#)', async (field, message) => {
    const error: unknown = await mailer.send(message as Message).catch((caught: unknown) => caught)
    expect(mailerErrors.is(error, 'mailer.message_invalid')).toBe(true)
    expect((error as { meta: { field: string } }).meta.field).toBe(field)
    expect(server.mails).toEqual([])
    expect(server.connections).toBe(0)
  })
})

describe('strange mails', () => {
  it('reach the one recipient that they name', async () => {
    const people = [
      { name: 'Eve <eve@evil.example>, "Bob"', address: 'ada@example.com' },
      { name: '=?utf-8?Q?a=0D=0ABcc:_eve@evil.example?=', address: 'ada@example.com' },
      { name: '{{constructor.constructor("return process")()}}', address: 'ada@example.com' },
      { name: '<img src=x onerror=alert(1)>', address: 'ada@example.com' },
      { name: 'Ωμέγα, "Ж" 世界 😀', address: 'ada@bücher.example' },
      '"Lovelace, Ada \\"the first\\"" <ada@example.com>',
      { name: "Ada's \\ friend;:", address: "o'hara+tag!#$%@example.com" },
    ] as const
    for (const to of people) {
      const from = server.mails.length
      const { accepted } = await mailer.send({ ...good, to, subject: '=?utf-8?Q?=0D=0ABcc:_eve@evil.example?= Ü' })
      expect(accepted).toEqual([readAddress('to', to).address])
      const [mail] = server.mails.slice(from)
      expect(mail!.to).toHaveLength(1)
      const parsed = await simpleParser(mail!.raw)
      const shown = parsed.to as { value: { address?: string; name: string }[] }
      expect(shown.value).toHaveLength(1)
      expect(shown.value[0]!.address).toBe(mail!.to[0])
      expect(parsed.bcc).toBeUndefined()
      if (typeof to === 'object' && !to.name.startsWith('=?')) expect(shown.value[0]!.name).toBe(to.name)
    }
    expect(readAddress('to', 'ada@Bücher.example').address).toBe('ada@xn--bcher-kva.example')
  })

  it('end where they end, whatever their lines look like', async () => {
    const from = server.mails.length
    const text = 'a\r\n.\r\nMAIL FROM:<eve@evil.example>\r\nRCPT TO:<eve@evil.example>\r\nDATA\r\n..\n.\nx\r.\rend'
    await mailer.send({ ...good, text })
    await mailer.send({ ...good, html: `<pre>${text}</pre>` })
    expect(server.mails.slice(from).map(({ to }) => to)).toEqual([['ada@example.com'], ['ada@example.com']])
    const { text: read } = await simpleParser(server.mails[from]!.raw)
    expect(read!.replace(/\r\n?|\n/g, '\n').trim()).toBe(text.replace(/\r\n?|\n/g, '\n'))
  })

  it('to many show nobody to anybody', async () => {
    const from = server.mails.length
    const to = ['a@example.com', 'b@example.com', 'c@example.com, d@example.com', 'e@example.com']
    const results = await mailer.sendMany(to, (recipient) => ({ subject: `For ${recipient as string}`, text: 'Hi' }))
    expect(results.map((result) => 'receipt' in result)).toEqual([true, true, false, true])
    const mails = server.mails.slice(from)
    expect(mails.map((mail) => mail.to).sort()).toEqual([['a@example.com'], ['b@example.com'], ['e@example.com']])
    for (const { to: only, raw } of mails)
      expect(
        raw
          .toString()
          .match(/(?<![\w-])[a-e]@example\.com/g)!
          .every((address) => address === only[0]),
      ).toBe(true)
    const smuggled = { subject: 'x', text: 'x', bcc: 'eve@evil.example' }
    const [refused] = await mailer.sendMany(['a@example.com'], smuggled)
    expect(refused).toMatchObject({ error: { code: 'mailer.message_invalid', meta: { field: 'bcc' } } })
  })
})
