import { created, noContent, reply } from '../../http/answer.ts'
import type { Cursors } from '../../http/cursors.ts'
import type { PermissionSpec } from '../../http/feature.ts'
import { definePage, pageOf, pageQuery, pageSchema, parsePage } from '../../http/pagination.ts'
import { route } from '../../http/route.ts'
import type { Route } from '../../http/route.ts'
import { nullable, Timestamp, Type, Uuid } from '../../http/schema.ts'
import type { Static } from '../../http/schema.ts'
import { unsubscribePath } from './create-mail.ts'
import type { Mail, Suppression } from './mail.ts'
import { unsubscribePage, unsubscribePolicy } from './unsubscribe-page.ts'

export const mailPermissions: Readonly<Record<'mail.read' | 'mail.manage', PermissionSpec>> = {
  'mail.read': { description: { en: 'See who gets no mails', id: 'Melihat siapa yang tidak menerima surel' } },
  'mail.manage': {
    description: { en: 'Change who gets no mails', id: 'Mengubah siapa yang tidak menerima surel' },
  },
}

const Category = Type.String({ pattern: '^[a-z0-9][a-z0-9_.-]{0,63}$' })
const SuppressionData = Type.Object(
  {
    id: Uuid,
    address: Type.String(),
    category: nullable(Type.String()),
    reason: Type.Union([
      Type.Literal('unsubscribed'),
      Type.Literal('bounced'),
      Type.Literal('complained'),
      Type.Literal('manual'),
    ]),
    detail: nullable(Type.String()),
    created_at: Timestamp,
  },
  { $id: 'MailSuppression' },
)
const pages = definePage({ name: 'mail_suppressions', sort: ['created_at'], defaultSort: '-created_at' })

/** Who gets no mails of the tenant of the checked context. */
export function suppressionRoutes({ service, cursors }: { service: Mail; cursors: Cursors }): readonly Route[] {
  const url = '/api/v1/mail/suppressions'
  const tags = ['mail']
  return [
    route({
      method: 'GET',
      url,
      id: 'listMailSuppressions',
      summary: 'Addresses that get no mails of this tenant, newest first',
      tags,
      access: 'mail.read',
      query: Type.Object(pageQuery),
      data: pageSchema(SuppressionData),
      handler: async ({ query }) => {
        const page = parsePage(query, pages, cursors)
        return pageOf(await service.list(page), page, suppressionData)
      },
    }),
    route({
      method: 'POST',
      url,
      id: 'createMailSuppression',
      summary: 'Send no more mails to an address, of one category or of all',
      description: 'An address that is there already gives its entry.',
      tags,
      access: 'mail.manage',
      body: Type.Object({
        address: Type.String({ minLength: 3, maxLength: 320 }),
        category: Type.Optional(Category),
        detail: Type.Optional(Type.String({ maxLength: 500 })),
      }),
      status: 201,
      data: SuppressionData,
      errors: ['mailer.message_invalid'],
      handler: async ({ body }) => created(suppressionData(await service.suppress(body))),
    }),
    route({
      method: 'DELETE',
      url: `${url}/:id`,
      id: 'deleteMailSuppression',
      summary: 'Send mails to an address again',
      tags,
      access: 'mail.manage',
      params: Type.Object({ id: Uuid }),
      data: null,
      errors: ['mail.suppression_not_found'],
      handler: async ({ params }) => {
        await service.release(params.id)
        return noContent()
      },
    }),
  ]
}

function suppressionData(entry: Suppression): Static<typeof SuppressionData> {
  const { id, address, category, reason, detail, createdAt } = entry
  return { id, address, category, reason, detail, created_at: createdAt }
}

const Link = Type.Object({ link: Type.String({ minLength: 1, maxLength: 2000 }) })

/** The link of a mail: a page that asks, and the POST of its button and of mail programs (RFC 8058), which acts. */
export function unsubscribeRoutes(service: Mail): readonly Route[] {
  const shape = {
    url: unsubscribePath,
    access: 'public',
    hidden: true,
    query: Link,
    plain: { contentType: 'text/html; charset=utf-8' },
    data: Type.String(),
    errors: ['mail.link_invalid'],
  } as const
  const headers = { 'content-security-policy': unsubscribePolicy }
  return [
    route({
      ...shape,
      method: 'GET',
      id: 'getUnsubscribePage',
      summary: 'Asks whether to unsubscribe',
      etag: false,
      handler: ({ query, context }) =>
        reply(unsubscribePage(service.readLink(query.link), context.locale, false), { headers }),
    }),
    route({
      ...shape,
      method: 'POST',
      id: 'unsubscribe',
      summary: 'Unsubscribes',
      // A form of either kind, which says nothing that the link does not.
      bodyStream: true,
      idempotency: 'refused',
      handler: async ({ query, context, raw }) => {
        const subscription = service.readLink(query.link)
        raw.request.raw.resume()
        await service.suppress({ ...subscription, reason: 'unsubscribed' })
        return reply(unsubscribePage(subscription, context.locale, true), { headers })
      },
    }),
  ]
}
