import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { readAddress, readAddresses } from './addresses.ts'
import { mailerErrors } from './errors.ts'
import { Html } from './html.ts'
import { htmlToText } from './html-to-text.ts'
import type { Address, Attachment, CheckedAttachment, CheckedMessage, Message, Unsubscribe } from './message.ts'
import { checkLine, refuse } from './plain-text.ts'

export interface CheckDefaults {
  readonly from: Address | undefined
  readonly now: number
  /** Of text, HTML and files together. */
  readonly limit: number
  /** Of the Message-ID, in front of its domain. Default: random. */
  readonly id?: string
}

const fields = new Set([
  ...['from', 'to', 'cc', 'bcc', 'replyTo', 'subject', 'text', 'html', 'attachments', 'headers'],
  ...['category', 'unsubscribe', 'locale'],
])
const headerName = /^[A-Za-z][A-Za-z0-9-]{0,75}$/
/** The mailer's own, and what other servers write. */
const ownHeaders =
  /^(?:from|sender|to|cc|bcc|reply-to|subject|date|message-id|mime-version|content-.*|dkim-signature|arc-.*|received|return-path|delivered-to|list-unsubscribe|list-unsubscribe-post|resent-.*|authentication-results)$/i
const mediaType =
  /^[a-z0-9][a-z0-9!#$&^_.+-]{0,80}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}(?:; ?[a-z0-9-]+=[a-z0-9._-]+){0,4}$/i
const mostRecipients = 100

/** Looks at every field, reads streams, and fills in what is left out. Throws `mailer.message_invalid`, `mailer.too_large`. */
export async function checkMessage(message: Message, defaults: CheckDefaults): Promise<CheckedMessage> {
  if (typeof message !== 'object' || message === null) refuse('message', 'must be an object')
  for (const name of Object.keys(message)) if (!fields.has(name)) refuse(name, 'is no field of a mail')
  const sender = message.from ?? defaults.from
  if (sender === undefined) refuse('from', 'is missing, and MAIL_FROM is not set')
  const from = readAddress('from', sender)
  const to = readAddresses('to', message.to)
  const cc = readAddresses('cc', message.cc)
  const bcc = readAddresses('bcc', message.bcc)
  const everybody = to.length + cc.length + bcc.length
  if (everybody === 0) refuse('to', 'is missing')
  if (everybody > mostRecipients) refuse('to', `has more than ${mostRecipients} recipients; use sendMany`)
  checkLine('subject', message.subject)
  const html = readBody('html', message.html instanceof Html ? message.html.toString() : message.html)
  const text = readBody('text', message.text) ?? (html === undefined ? undefined : htmlToText(html))
  if (text === undefined) refuse('text', 'is missing, and so is html')
  const { category, unsubscribe } = message
  if (category !== undefined) {
    if (typeof category !== 'string' || !/^[a-z0-9][a-z0-9_.-]{0,63}$/.test(category))
      refuse('category', 'must be lower-case letters, digits and ._-')
    if (everybody > 1) refuse('to', 'must be one person: each unsubscribes for himself')
  }
  let left = defaults.limit - Buffer.byteLength(text) - Buffer.byteLength(html ?? '')
  const attachments: CheckedAttachment[] = []
  for (const [at, attachment] of (message.attachments ?? []).entries()) {
    attachments.push(await readAttachment(`attachments[${at}]`, attachment, Math.max(0, left), defaults.limit))
    left -= attachments.at(-1)!.content.length
  }
  if (left < 0) throw mailerErrors.error('mailer.too_large', { meta: { limit: defaults.limit } })
  const domain = from.address.slice(from.address.lastIndexOf('@') + 1)
  return {
    messageId: `<${defaults.id ?? randomUUID()}@${domain}>`,
    date: new Date(defaults.now),
    from,
    to,
    cc,
    bcc,
    replyTo: readAddresses('replyTo', message.replyTo),
    subject: message.subject,
    text,
    html,
    attachments,
    headers: { ...readHeaders(message.headers), ...readLocale(message.locale), ...unsubscribeHeaders(unsubscribe) },
    category,
  }
}

/** RFC 2369 and RFC 8058. */
export function unsubscribeHeaders(unsubscribe: Unsubscribe | undefined): Record<string, string> {
  if (unsubscribe === undefined) return {}
  const { url, mailto } = unsubscribe
  checkLine('unsubscribe.url', url, 900)
  const { protocol = '', hostname = '' } = URL.parse(url) ?? {}
  const local = hostname === 'localhost' || hostname === '127.0.0.1'
  if (!(protocol === 'https:' || (protocol === 'http:' && local)) || /[<>\s,]/.test(url))
    refuse('unsubscribe.url', 'must be a URL that starts with https://')
  const mail = mailto === undefined ? '' : `, <mailto:${readAddress('unsubscribe.mailto', mailto).address}>`
  return { 'List-Unsubscribe': `<${url}>${mail}`, 'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click' }
}

function readBody(field: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string') refuse(field, 'must be a text')
  if (value.includes('\0')) refuse(field, 'holds NUL')
  return value.toWellFormed()
}

function readHeaders(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  const checked: Record<string, string> = {}
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const field = `headers.${JSON.stringify(name.slice(0, 80)).slice(1, -1)}`
    if (!headerName.test(name)) refuse(field, 'is no name of a header')
    if (ownHeaders.test(name)) refuse(field, 'is written by the mailer')
    if (seen.has(name.toLowerCase())) refuse(field, 'comes twice')
    seen.add(name.toLowerCase())
    checkLine(field, value)
    checked[name] = value
  }
  // RFC 3834: no answers from programs.
  if (!seen.has('auto-submitted')) checked['Auto-Submitted'] = 'auto-generated'
  return checked
}

function readLocale(locale: string | undefined): Record<string, string> {
  if (locale === undefined) return {}
  if (typeof locale !== 'string' || !/^[a-zA-Z]{2,8}(?:-[a-zA-Z0-9]{1,8}){0,4}$/.test(locale))
    refuse('locale', 'is no language')
  return { 'Content-Language': locale }
}

async function readAttachment(
  field: string,
  given: Attachment,
  left: number,
  limit: number,
): Promise<CheckedAttachment> {
  if (typeof given !== 'object' || given === null) refuse(field, 'must be an object')
  const { filename, content, contentType, cid } = given
  checkLine(`${field}.filename`, filename, 255)
  if (filename.trim() === '' || /[/\\]/.test(filename) || /^\.{1,2}$/.test(filename))
    refuse(`${field}.filename`, 'must be the name of a file, without folders')
  if (contentType !== undefined && (typeof contentType !== 'string' || !mediaType.test(contentType)))
    refuse(`${field}.contentType`, 'is no media type')
  if (contentType !== undefined && /^(?:multipart|message)\//i.test(contentType))
    refuse(`${field}.contentType`, 'must not be made of parts')
  if (cid !== undefined && (typeof cid !== 'string' || !/^[A-Za-z0-9._+-]{1,100}(?:@[A-Za-z0-9.-]{1,100})?$/.test(cid)))
    refuse(`${field}.cid`, 'must be letters, digits and ._+-')
  return { filename, content: await readContent(`${field}.content`, content, left, limit), contentType, cid }
}

async function readContent(field: string, content: unknown, left: number, limit: number): Promise<Buffer> {
  if (typeof content === 'string') return Buffer.from(content)
  if (content instanceof Uint8Array) return Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  // Never a path or an address: what a mail holds is given, not fetched.
  if (!(content instanceof Readable)) refuse(field, 'must be a text, bytes or a stream')
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of content as AsyncIterable<Buffer | string>) {
    const bytes = Buffer.from(piece as Buffer)
    size += bytes.length
    if (size > left) {
      content.destroy()
      throw mailerErrors.error('mailer.too_large', { meta: { limit } })
    }
    pieces.push(bytes)
  }
  return Buffer.concat(pieces)
}
