/** What a sender wrote, or `undefined` where it is no JSON. */
export function parseJson(body: string | Uint8Array): unknown {
  try {
    return JSON.parse(typeof body === 'string' ? body : Buffer.from(body).toString('utf8')) as unknown
  } catch {
    return undefined
  }
}
