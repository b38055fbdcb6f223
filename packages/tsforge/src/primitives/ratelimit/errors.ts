import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type RatelimitErrorCode =
  | 'ratelimit.exceeded'
  | 'ratelimit.too_many_at_once'
  | 'ratelimit.unavailable'
  | 'ratelimit.cost_invalid'
  | 'ratelimit.misdeclared'

export const ratelimitErrors: ErrorCatalogue<RatelimitErrorCode> = defineErrors({
  'ratelimit.exceeded': {
    status: 429,
    message: { en: 'Too many requests.', id: 'Terlalu banyak permintaan.' },
    fix: 'Wait for as long as "Retry-After" says. "RateLimit-Policy" tells the limits, "RateLimit" what is left of them.',
  },
  'ratelimit.too_many_at_once': {
    status: 429,
    message: {
      en: 'Too many requests at the same time.',
      id: 'Terlalu banyak permintaan secara bersamaan.',
    },
    fix: 'Wait for the answers to earlier requests before sending more.',
  },
  'ratelimit.unavailable': {
    status: 503,
    message: {
      en: 'Requests cannot be counted at the moment.',
      id: 'Permintaan sedang tidak dapat dihitung.',
    },
    fix: 'Try again shortly; counting resumes by itself.',
  },
  'ratelimit.cost_invalid': {
    status: 400,
    message: {
      en: 'The cost {cost} is not a whole number from 1 to {limit}.',
      id: 'Biaya {cost} bukan bilangan bulat dari 1 sampai {limit}.',
    },
    fix: 'Split the request: it asks for more than the limit ever allows at once.',
  },
  'ratelimit.misdeclared': {
    status: 500,
    message: {
      en: 'The limit "{name}" is declared wrongly: {fault}.',
      id: 'Batas "{name}" dideklarasikan dengan salah: {fault}.',
    },
    fix: 'Correct the declaration; the sentence says what is wrong.',
  },
})
