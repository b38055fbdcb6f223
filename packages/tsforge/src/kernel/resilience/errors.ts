import { defineErrors } from '../errors.ts'
import type { ErrorCatalogue } from '../errors.ts'

export type ResilienceErrorCode = 'resilience.timeout' | 'resilience.circuit_open' | 'resilience.overloaded'

export const resilienceErrors: ErrorCatalogue<ResilienceErrorCode> = defineErrors({
  'resilience.timeout': {
    status: 504,
    message: {
      en: 'A system that is needed did not answer in time.',
      id: 'Sistem yang diperlukan tidak menjawab tepat waktu.',
    },
    fix: 'Try again later.',
  },
  'resilience.circuit_open': {
    status: 503,
    message: { en: 'A system that is needed fails at the moment.', id: 'Sistem yang diperlukan sedang bermasalah.' },
    fix: 'Try again after the time in Retry-After.',
  },
  'resilience.overloaded': {
    status: 503,
    message: { en: 'Too much work of this kind is waiting.', id: 'Terlalu banyak pekerjaan jenis ini yang menunggu.' },
    fix: 'Try again after the time in Retry-After.',
  },
})

/** Whether `error` means that the caller does not want the answer any more. */
export function isAbort(error: unknown, signal?: AbortSignal): boolean {
  if (signal?.aborted === true) return true
  return error instanceof Error && error.name === 'AbortError'
}
