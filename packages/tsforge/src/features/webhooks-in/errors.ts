import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type WebhooksInErrorCode =
  | 'webhooks_in.source_unknown'
  | 'webhooks_in.signature_missing'
  | 'webhooks_in.timestamp_invalid'
  | 'webhooks_in.signature_invalid'
  | 'webhooks_in.raw_delivery'
  | 'webhooks_in.unavailable'
  | 'webhooks_in.delivery_unknown'
  | 'webhooks_in.delivery_open'
  | 'webhooks_in.delivery_gone'
  | 'webhooks_in.source_invalid'

export const webhooksInErrors: ErrorCatalogue<WebhooksInErrorCode> = defineErrors({
  'webhooks_in.source_unknown': {
    status: 404,
    message: { en: 'There is no such source of webhooks.', id: 'Tidak ada sumber webhook seperti itu.' },
    fix: 'The address is /api/v1/hooks/<source>, or /api/v1/hooks/<source>/<tenant id> for sources of tenants.',
  },
  'webhooks_in.signature_missing': {
    status: 401,
    message: { en: 'The webhook is not signed.', id: 'Webhook tidak ditandatangani.' },
    fix: "Set the signing secret, or user and password, at the sender's side.",
  },
  'webhooks_in.timestamp_invalid': {
    status: 401,
    message: {
      en: 'The webhook was signed too long ago, or in the future.',
      id: 'Webhook ditandatangani terlalu lama, atau di masa depan.',
    },
    fix: "Correct the sender's clock, and sign each attempt afresh.",
  },
  'webhooks_in.signature_invalid': {
    status: 401,
    message: { en: 'The signature of the webhook is not valid.', id: 'Tanda tangan webhook tidak valid.' },
    fix: 'Sign exactly the bytes that are sent, with the secret of this address.',
  },
  'webhooks_in.raw_delivery': {
    status: 401,
    message: {
      en: 'Amazon SNS has sent this message raw, and then it signs nothing.',
      id: 'Amazon SNS mengirim pesan ini mentah, tanpa tanda tangan.',
    },
    fix: 'Turn raw message delivery off at the subscription (RawMessageDelivery: false).',
  },
  'webhooks_in.unavailable': {
    status: 503,
    message: {
      en: 'Webhooks cannot be taken at the moment.',
      id: 'Webhook sedang tidak dapat diterima.',
    },
    fix: 'Send it again after the time in Retry-After.',
  },
  'webhooks_in.delivery_unknown': {
    status: 404,
    message: { en: 'There is no such delivery.', id: 'Tidak ada kiriman seperti itu.' },
    fix: 'Look it up in the list: ids there are ours, not those of the sender. Deliveries go after FORGE_WEBHOOKS_IN_RETENTION.',
  },
  'webhooks_in.delivery_open': {
    status: 409,
    message: { en: 'The delivery is still being handled.', id: 'Kiriman masih ditangani.' },
    fix: 'Wait until it is handled or dead, or retry its job.',
  },
  'webhooks_in.delivery_gone': {
    status: 410,
    message: { en: 'The content of the delivery is not kept any more.', id: 'Isi kiriman sudah tidak disimpan.' },
    fix: 'Have the sender send it again under a new id, or keep deliveries for longer (FORGE_WEBHOOKS_IN_RETENTION).',
  },
  'webhooks_in.source_invalid': {
    status: 500,
    message: {
      en: 'The source of webhooks "{source}" cannot work: {reason}.',
      id: 'Sumber webhook "{source}" tidak dapat bekerja: {reason}.',
    },
    fix: 'See defineWebhookSource.',
  },
})
