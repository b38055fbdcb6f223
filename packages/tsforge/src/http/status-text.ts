// `import` reads all exports of node:http, and one of them loads the whole of undici: 30 ms of every start.
const { STATUS_CODES } = process.getBuiltinModule('node:http')

/** The reason phrase of a status, e.g. `Not Found` (RFC 9110 section 15). */
export function statusText(status: number): string {
  return STATUS_CODES[status] ?? 'Error'
}
