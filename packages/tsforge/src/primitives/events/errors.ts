import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type EventsErrorCode =
  | 'events.data_invalid'
  | 'events.data_too_large'
  | 'events.option_invalid'
  | 'events.definition_invalid'
  | 'events.position_unknown'
  | 'events.position_expired'
  | 'events.subscription_unknown'
  | 'events.unknown'
  | 'events.tx_unsupported'
  | 'events.lease_lost'

export const eventsErrors: ErrorCatalogue<EventsErrorCode> = defineErrors({
  'events.data_invalid': {
    status: 422,
    message: {
      en: 'The data of the event "{type}" is not what it takes: {reason}.',
      id: 'Data peristiwa "{type}" tidak sesuai: {reason}.',
    },
    fix: 'Send what the schema of the event describes, as plain JSON without NUL characters or broken surrogates.',
  },
  'events.data_too_large': {
    status: 413,
    message: {
      en: 'The data of the event "{type}" has {bytes} bytes; at most {limit} are taken.',
      id: 'Data peristiwa "{type}" berukuran {bytes} byte; batasnya {limit}.',
    },
    fix: 'Store the data elsewhere and put its id into the event, or raise FORGE_EVENTS_DATA_LIMIT.',
  },
  'events.option_invalid': {
    status: 422,
    message: {
      en: 'The option "{option}" is not valid: {reason}.',
      id: 'Opsi "{option}" tidak valid: {reason}.',
    },
    fix: 'See the documentation of the option for what it takes.',
  },
  'events.definition_invalid': {
    status: 500,
    message: {
      en: 'The definition of an event or a subscription is not valid.',
      id: 'Definisi peristiwa atau langganan tidak valid.',
    },
    fix: 'See "meta.reason", and the documentation of defineEvent and subscribe.',
  },
  'events.position_unknown': {
    status: 400,
    message: { en: 'This is no position in the log of events.', id: 'Ini bukan posisi dalam log peristiwa.' },
    fix: 'Read from a position that the log has given, or from the beginning.',
  },
  'events.position_expired': {
    status: 410,
    message: {
      en: 'The events behind this position are no longer kept.',
      id: 'Peristiwa setelah posisi ini sudah tidak disimpan.',
    },
    fix: 'Load the current state and read on from the head of the log; FORGE_EVENTS_RETENTION says how long events are kept.',
  },
  'events.subscription_unknown': {
    status: 404,
    message: { en: 'There is no subscription "{name}".', id: 'Tidak ada langganan "{name}".' },
    fix: 'List the subscriptions to see their names.',
  },
  'events.unknown': {
    status: 404,
    message: {
      en: 'There is no such dead event.',
      id: 'Tidak ada peristiwa mati tersebut.',
    },
    fix: 'List the dead events of the subscription to see their ids.',
  },
  'events.tx_unsupported': {
    status: 500,
    message: {
      en: 'The store of events cannot take part in a transaction.',
      id: 'Penyimpanan peristiwa tidak dapat ikut dalam transaksi.',
    },
    fix: 'Use the PostgreSQL driver, on the database of the transaction.',
  },
  'events.lease_lost': {
    status: 409,
    message: {
      en: 'The subscription is handled by another process now.',
      id: 'Langganan ini kini ditangani proses lain.',
    },
    fix: 'Nothing to do: its events go on elsewhere. Keep handlers from blocking the event loop.',
  },
})
