import { noContent, reply } from '../../../http/answer.ts'
import { httpErrors } from '../../../http/errors.ts'
import { route } from '../../../http/route.ts'
import type { Call, Route } from '../../../http/route.ts'
import { nullable, Timestamp, Type, Uuid } from '../../../http/schema.ts'
import type { AnyTemplate, Inbox, KeptMail, Mailer } from '../../../primitives/mailer/index.ts'
import { mailErrors } from '../errors.ts'
import { inboxPage } from './page.ts'
import { inboxScript } from './script.ts'
import { inboxStyle } from './style.ts'
import { detailOf, matches, standaloneHtml, summaryOf } from './kept-mail.ts'
import type { MailDetail, MailSummary } from './kept-mail.ts'

export interface InboxParts {
  readonly inbox: Inbox
  readonly mailer: Mailer
  readonly templates: readonly AnyTemplate[]
  readonly app: string
  /** For callers on this machine alone. */
  readonly local: boolean
}

const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
/** A mail runs nothing, sends nothing and is nobody; its pictures may come from where it says. */
const mailPolicy =
  "default-src 'none'; img-src data: https: http:; style-src 'unsafe-inline'; font-src data: https:; base-uri 'self'; form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"

const summary = {
  id: Uuid,
  at: Timestamp,
  from: Type.String(),
  to: Type.Array(Type.String()),
  subject: Type.String(),
  preview: Type.String(),
  attachments: Type.Integer(),
  size: Type.Integer(),
}
const Summary = Type.Object(summary)
const Detail = Type.Object({
  ...summary,
  message_id: Type.String(),
  cc: Type.Array(Type.String()),
  bcc: Type.Array(Type.String()),
  envelope: Type.Object({ from: Type.String(), to: Type.Array(Type.String()) }),
  category: nullable(Type.String()),
  has_html: Type.Boolean(),
  text: Type.String(),
  headers: Type.Array(Type.Object({ name: Type.String(), value: Type.String() })),
  links: Type.Array(Type.String()),
  files: Type.Array(
    Type.Object({
      filename: Type.String(),
      content_type: Type.String(),
      size: Type.Integer(),
      inline: Type.Boolean(),
    }),
  ),
})
const TemplateData = Type.Object({ name: Type.String(), locales: Type.Array(Type.String()) })
const Params = Type.Object({ id: Uuid })

/** The inbox of development: a page and a REST face over the mails that the driver keeps. Never mounted in production. */
export function inboxRoutes({ inbox, mailer, templates, app, local }: InboxParts): readonly Route[] {
  const shape = { access: 'public', hidden: true, rate: false, idempotency: 'refused' } as const
  const check = (call: Pick<Call, 'raw' | 'header'>): void => {
    if (local && !isLocal(call)) throw httpErrors.error('http.not_found')
  }
  const find = (call: Pick<Call, 'raw' | 'header'>, id: string): KeptMail => {
    check(call)
    const mail = inbox.get(id)
    if (mail === undefined) throw mailErrors.error('mail.not_found')
    return mail
  }
  const file = (url: string, id: string, contentType: string, content: string): Route =>
    route({
      ...shape,
      method: 'GET',
      url,
      id,
      summary: 'The inbox of development',
      cacheControl: 'no-cache',
      plain: { contentType },
      data: Type.String(),
      handler: (call) => {
        check(call)
        return reply(content, { headers: { 'content-security-policy': pagePolicy } })
      },
    })
  const api = '/dev/mail/api'
  return [
    file('/dev/mail', 'getInbox', 'text/html; charset=utf-8', inboxPage(app)),
    file('/dev/mail/inbox.js', 'getInboxScript', 'text/javascript; charset=utf-8', inboxScript),
    file('/dev/mail/inbox.css', 'getInboxStyle', 'text/css; charset=utf-8', inboxStyle),
    route({
      ...shape,
      method: 'GET',
      url: `${api}/messages`,
      id: 'listInboxMails',
      summary: 'Mails, newest first',
      cacheControl: 'private, no-cache',
      query: Type.Object({
        q: Type.Optional(Type.String({ maxLength: 200 })),
        to: Type.Optional(Type.String({ maxLength: 320 })),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })),
      }),
      data: Type.Object({ items: Type.Array(Summary), total: Type.Integer() }),
      handler: (call) => {
        check(call)
        const { q = '', to, limit = 200 } = call.query
        const found = inbox.mails.filter(
          (mail) =>
            matches(mail, q.trim()) &&
            (to === undefined || mail.envelope.to.some((each) => each.toLowerCase() === to.toLowerCase())),
        )
        return { items: found.slice(0, limit).map(summaryData), total: inbox.mails.length }
      },
    }),
    route({
      ...shape,
      method: 'GET',
      url: `${api}/messages/:id`,
      id: 'getInboxMail',
      summary: 'One mail',
      params: Params,
      data: Detail,
      errors: ['mail.not_found'],
      handler: (call) => detailData(detailOf(find(call, call.params.id))),
    }),
    route({
      ...shape,
      method: 'GET',
      url: `${api}/messages/:id/source`,
      id: 'getInboxMailSource',
      summary: 'The mail as it would have been sent',
      params: Params,
      plain: { contentType: 'text/plain; charset=utf-8' },
      data: Type.String(),
      errors: ['mail.not_found'],
      handler: (call) => find(call, call.params.id).raw.toString(),
    }),
    route({
      ...shape,
      method: 'GET',
      url: `${api}/messages/:id/html`,
      id: 'getInboxMailHtml',
      summary: 'The HTML of the mail, in a sandbox',
      params: Params,
      plain: { contentType: 'text/html; charset=utf-8' },
      data: Type.String(),
      errors: ['mail.not_found'],
      handler: (call) =>
        reply(standaloneHtml(find(call, call.params.id)), {
          headers: { 'content-security-policy': mailPolicy, 'x-frame-options': 'SAMEORIGIN' },
        }),
    }),
    route({
      ...shape,
      method: 'GET',
      url: `${api}/messages/:id/attachments/:index`,
      id: 'getInboxAttachment',
      summary: 'A file of the mail, to be saved',
      params: Type.Object({ id: Uuid, index: Type.Integer({ minimum: 0, maximum: 1000 }) }),
      plain: { contentType: 'application/octet-stream' },
      data: Type.Unknown(),
      errors: ['mail.not_found'],
      handler: (call) => {
        const attachment = find(call, call.params.id).message.attachments[call.params.index]
        if (attachment === undefined) throw mailErrors.error('mail.not_found')
        const name = encodeURIComponent(attachment.filename).replace(
          /['()*]/g,
          (each) => `%${each.charCodeAt(0).toString(16)}`,
        )
        const headers = { 'content-disposition': `attachment; filename*=UTF-8''${name}` }
        return reply<unknown>(attachment.content, { headers })
      },
    }),
    route({
      ...shape,
      method: 'DELETE',
      url: `${api}/messages/:id`,
      id: 'deleteInboxMail',
      summary: 'Delete a mail',
      params: Params,
      data: null,
      errors: ['mail.not_found'],
      handler: (call) => {
        inbox.remove(find(call, call.params.id).id)
        return noContent()
      },
    }),
    route({
      ...shape,
      method: 'DELETE',
      url: `${api}/messages`,
      id: 'clearInbox',
      summary: 'Delete all mails',
      data: null,
      handler: (call) => {
        check(call)
        inbox.clear()
        return noContent()
      },
    }),
    route({
      ...shape,
      method: 'GET',
      url: `${api}/templates`,
      id: 'listMailTemplates',
      summary: 'Templates that can be previewed',
      data: Type.Object({ items: Type.Array(TemplateData) }),
      handler: (call) => {
        check(call)
        return { items: templates.map(({ name, locales }) => ({ name, locales: [...locales] })) }
      },
    }),
    route({
      ...shape,
      method: 'POST',
      url: `${api}/templates/:name/preview`,
      id: 'previewMailTemplate',
      summary: 'Put a template with its sample into the inbox',
      params: Type.Object({ name: Type.String({ maxLength: 100 }) }),
      query: Type.Object({ locale: Type.Optional(Type.String({ maxLength: 35 })) }),
      data: null,
      errors: ['mail.not_found'],
      handler: async (call) => {
        check(call)
        const template = templates.find(({ name }) => name === call.params.name)
        if (template === undefined) throw mailErrors.error('mail.not_found')
        const { locale } = call.query
        const body = await template.render(template.sample as never, locale === undefined ? {} : { locale })
        await mailer.send({ ...body, to: `Preview <preview@localhost.localdomain>` })
        return noContent()
      },
    }),
  ]
}

/** What a proxy adds: such a request only looks as if it came from this machine. */
const forwarding = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via', 'cf-connecting-ip']
/** A page in a browser on this machine sends its own name instead, when its owner has let that point here (DNS rebinding). */
const localName = /^(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

function isLocal(call: Pick<Call, 'raw' | 'header'>): boolean {
  const peer = call.raw.request.socket.remoteAddress ?? ''
  const host = call.header('host') ?? ''
  const origin = call.header('origin')
  // Pages elsewhere can send requests here; only those of the inbox itself have its origin.
  const own = origin === undefined || URL.parse(origin)?.host === host
  const direct = forwarding.every((name) => call.header(name) === undefined)
  return (peer === '::1' || /^(?:::ffff:)?127\./.test(peer)) && localName.test(host) && own && direct
}

function summaryData(mail: KeptMail): Omit<MailSummary, 'to'> & { to: string[] } {
  const { to, ...rest } = summaryOf(mail)
  return { ...rest, to: [...to] }
}

function detailData(detail: MailDetail): never {
  const { messageId, hasHtml, files, ...rest } = detail
  return {
    ...rest,
    message_id: messageId,
    has_html: hasHtml,
    files: files.map(({ contentType, ...file }) => ({ ...file, content_type: contentType })),
  } as never
}
