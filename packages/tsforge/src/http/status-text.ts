import { http } from './node-http.ts'

/** The reason phrase of a status, e.g. `Not Found` (RFC 9110 section 15). */
export function statusText(status: number): string {
  return http.STATUS_CODES[status] ?? 'Error'
}
