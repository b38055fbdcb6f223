import { defineErrors } from '../kernel/errors.ts'
import type { ErrorCatalogue } from '../kernel/errors.ts'

export type PageErrorCode =
  | 'page.cursor_invalid'
  | 'page.cursor_too_long'
  | 'page.limit_invalid'
  | 'page.offset_invalid'
  | 'page.position_ambiguous'
  | 'page.sort_invalid'

export const pageErrors: ErrorCatalogue<PageErrorCode> = defineErrors({
  'page.cursor_invalid': {
    status: 400,
    message: { en: 'The cursor does not belong to this list.', id: 'Kursor bukan milik daftar ini.' },
    fix: 'Use next_cursor or prev_cursor unchanged, with the same filters and the same sort, or start from the first page.',
  },
  'page.cursor_too_long': {
    status: 500,
    message: {
      en: 'A sorted value is too long for a cursor.',
      id: 'Nilai yang diurutkan terlalu panjang untuk kursor.',
    },
    fix: 'Let callers sort only by columns of bounded length.',
  },
  'page.limit_invalid': {
    status: 400,
    message: { en: 'limit is not a whole number from 1.', id: 'limit bukan bilangan bulat mulai dari 1.' },
    fix: 'Send limit=20, or leave it out; more than the cap of the list counts as the cap.',
  },
  'page.offset_invalid': {
    status: 400,
    message: { en: 'offset is not a whole number within bounds.', id: 'offset bukan bilangan bulat dalam batas.' },
    fix: 'Go on with next_cursor, which has no bound.',
  },
  'page.position_ambiguous': {
    status: 400,
    message: { en: 'cursor and offset cannot be used together.', id: 'cursor dan offset tidak dapat dipakai bersama.' },
    fix: 'Leave one of them out; a cursor stays right while others write.',
  },
  'page.sort_invalid': {
    status: 400,
    message: { en: 'The list cannot be sorted like this.', id: 'Daftar tidak dapat diurutkan seperti itu.' },
    fix: 'Name up to three different fields of meta.allowed, comma-separated, a leading - for descending.',
  },
})
