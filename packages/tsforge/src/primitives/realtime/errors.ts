import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type RealtimeErrorCode =
  | 'realtime.draining'
  | 'realtime.full'
  | 'realtime.option_invalid'
  | 'realtime.position_malformed'
  | 'realtime.ticket_invalid'
  | 'realtime.too_many_streams'
  | 'realtime.topic_denied'
  | 'realtime.topic_malformed'
  | 'realtime.topic_unknown'

export const realtimeErrors: ErrorCatalogue<RealtimeErrorCode> = defineErrors({
  'realtime.draining': {
    status: 503,
    message: { en: 'This process is stopping.', id: 'Proses ini sedang dihentikan.' },
    fix: 'Connect again after Retry-After; another process answers.',
  },
  'realtime.full': {
    status: 503,
    message: {
      en: 'No more streams can be served at the moment.',
      id: 'Saat ini tidak ada stream lagi yang dapat dilayani.',
    },
    fix: 'Connect again after Retry-After. As the operator: add processes or raise FORGE_REALTIME_MAX_STREAMS.',
  },
  'realtime.option_invalid': {
    status: 500,
    message: { en: 'An option of realtime is not valid.', id: 'Opsi realtime tidak valid.' },
    fix: 'See "meta.option" for the name.',
  },
  'realtime.position_malformed': {
    status: 400,
    message: {
      en: 'Last-Event-ID is no id of an event of this app.',
      id: 'Last-Event-ID bukan id peristiwa aplikasi ini.',
    },
    fix: 'Send the id of the last event that you got, unchanged, or none.',
  },
  'realtime.ticket_invalid': {
    status: 401,
    message: { en: 'The ticket is not valid or was used.', id: 'Tiket tidak valid atau sudah dipakai.' },
    fix: 'Ask POST /api/v1/stream/tickets for a new one; it works once and for a short time.',
  },
  'realtime.too_many_streams': {
    status: 429,
    message: {
      en: 'You have too many open streams ({limit}).',
      id: 'Anda memiliki terlalu banyak stream terbuka ({limit}).',
    },
    fix: 'Close others, or ask for all topics in one stream.',
  },
  'realtime.topic_denied': {
    status: 403,
    message: { en: 'You are not allowed to hear of "{topic}".', id: 'Anda tidak diizinkan mengikuti "{topic}".' },
    fix: 'Ask an owner of the tenant for the permission in meta.permission.',
  },
  'realtime.topic_malformed': {
    status: 500,
    message: { en: 'The topic "{topic}" cannot work: {reason}.', id: 'Topik "{topic}" tidak dapat bekerja: {reason}.' },
    fix: 'Correct the topic where it is defined.',
  },
  'realtime.topic_unknown': {
    status: 404,
    message: { en: 'There is no topic "{topic}".', id: 'Tidak ada topik "{topic}".' },
    fix: 'Compare `topics` with the list in the documentation of this route.',
  },
})
