import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type WebhooksErrorCode =
  | 'webhooks.endpoint_not_found'
  | 'webhooks.endpoint_disabled'
  | 'webhooks.too_many_endpoints'
  | 'webhooks.event_type_unknown'
  | 'webhooks.header_reserved'
  | 'webhooks.secret_invalid'
  | 'webhooks.too_many_secrets'
  | 'webhooks.metadata_too_large'
  | 'webhooks.message_not_found'
  | 'webhooks.message_invalid'
  | 'webhooks.delivery_not_found'
  | 'webhooks.certificate_incomplete'
  | 'webhooks.certificate_invalid'

export const webhooksErrors: ErrorCatalogue<WebhooksErrorCode> = defineErrors({
  'webhooks.endpoint_not_found': {
    status: 404,
    message: { en: 'There is no such webhook endpoint.', id: 'Endpoint webhook tersebut tidak ada.' },
    fix: 'List the endpoints of the tenant to see their ids.',
  },
  'webhooks.endpoint_disabled': {
    status: 409,
    message: { en: 'This webhook endpoint is disabled.', id: 'Endpoint webhook ini dinonaktifkan.' },
    fix: 'Enable the endpoint first: PATCH it with "enabled": true.',
  },
  'webhooks.too_many_endpoints': {
    status: 409,
    message: {
      en: 'This tenant has as many webhook endpoints as it may have.',
      id: 'Tenant ini telah mencapai jumlah maksimum endpoint webhook.',
    },
    fix: 'Delete an endpoint that is not used any more. For the operator: FORGE_WEBHOOKS_ENDPOINTS.',
  },
  'webhooks.event_type_unknown': {
    status: 422,
    message: { en: 'There is no such type of event: {type}.', id: 'Tipe peristiwa tersebut tidak ada: {type}.' },
    fix: 'Take types from GET /api/v1/webhooks/event-types, "order.*" for all that begin so, or "*" for all.',
  },
  'webhooks.header_reserved': {
    status: 422,
    message: { en: 'The header {name} is not yours to set.', id: 'Header {name} tidak boleh diatur.' },
    fix: 'Use another name, such as X-Api-Key; signatures, content type and user agent are set with each delivery.',
  },
  'webhooks.secret_invalid': {
    status: 422,
    message: {
      en: 'The signing secret cannot be used: {reason}.',
      id: 'Rahasia penandatanganan tidak dapat dipakai: {reason}.',
    },
    fix: 'Leave it out to have one made, or send whsec_ (whsk_ for ed25519) with base64 of at least 24 random bytes behind it.',
  },
  'webhooks.too_many_secrets': {
    status: 409,
    message: {
      en: 'Too many earlier secrets of this endpoint are still valid.',
      id: 'Terlalu banyak rahasia lama endpoint ini yang masih berlaku.',
    },
    fix: 'Wait until one has ended, or rotate with an overlap of 0, which ends all earlier ones at once.',
  },
  'webhooks.metadata_too_large': {
    status: 422,
    message: { en: 'The metadata is too large.', id: 'Metadata terlalu besar.' },
    fix: 'Send at most 8 KiB of JSON.',
  },
  'webhooks.message_not_found': {
    status: 404,
    message: { en: 'There is no such webhook message.', id: 'Pesan webhook tersebut tidak ada.' },
    fix: 'List the messages; old ones are removed after FORGE_WEBHOOKS_RETENTION.',
  },
  'webhooks.message_invalid': {
    status: 422,
    message: { en: 'The message cannot be sent: {reason}.', id: 'Pesan tidak dapat dikirim: {reason}.' },
    fix: 'Send JSON of at most FORGE_WEBHOOKS_BODY_LIMIT; an id is 1 to 256 visible ASCII characters without dots.',
  },
  'webhooks.delivery_not_found': {
    status: 404,
    message: { en: 'There is no such delivery.', id: 'Pengiriman tersebut tidak ada.' },
    fix: 'List the deliveries of the endpoint; old ones are removed after FORGE_WEBHOOKS_RETENTION.',
  },
  'webhooks.certificate_incomplete': {
    status: 500,
    message: {
      en: 'The client certificate of webhooks is incomplete.',
      id: 'Sertifikat klien webhook tidak lengkap.',
    },
    fix: 'Set FORGE_WEBHOOKS_CERTIFICATE and FORGE_WEBHOOKS_CERTIFICATE_KEY together, or neither.',
  },
  'webhooks.certificate_invalid': {
    status: 500,
    message: {
      en: 'The client certificate of webhooks cannot be used.',
      id: 'Sertifikat klien webhook tidak dapat dipakai.',
    },
    fix: 'Set FORGE_WEBHOOKS_CERTIFICATE, _KEY and _AUTHORITY to whole PEM texts; the key must be the one of the certificate.',
  },
})
