/** An answer as it goes over the wire. */
export interface Answer {
  readonly status: number
  /** name, value, name, value; names in lower case. */
  readonly headers: readonly string[]
  readonly body: string | Buffer | undefined
  /** The body went over the wire by itself: there is nothing to keep. */
  readonly streamed?: true
}

/** Why the answer of work that was done cannot be given again. */
export type Gone = 'lost' | 'too_large' | 'streamed'

/** What is stored under a key. */
export type Kept = { readonly answer: Answer } | { readonly gone: Gone }

/** Refusals that another try may not meet: signing in, a new right, waiting, or another header changes them. */
const passing: ReadonlySet<number> = new Set([401, 403, 407, 408, 421, 423, 424, 425, 426, 428, 429, 431])

/**
 * Whether `answer` is the last word on its request: each 2xx or 3xx, and a 4xx that repeating cannot change. Whatever
 * invites to come again (`Retry-After`) is not, and no 5xx ever is.
 */
export function isFinal({ status, headers, streamed }: Answer): boolean {
  // What it did before it went wrong nobody knows.
  if (streamed === true) return true
  if (status >= 500 || passing.has(status)) return false
  return !headers.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'retry-after')
}

/** Belong to one exchange or one connection, or (cookies) to nobody but who was there at the time. */
const fleeting: ReadonlySet<string> = new Set([
  'age',
  'connection',
  'content-length',
  'date',
  'idempotency-persisted',
  'idempotent-replayed',
  'keep-alive',
  'ratelimit',
  'ratelimit-policy',
  'server-timing',
  'set-cookie',
  'traceparent',
  'tracestate',
  'transfer-encoding',
  'x-request-id',
])

/** As text, without what must not be repeated. */
export function pack({ status, headers, body, streamed }: Answer): string {
  if (streamed === true) return packGone('streamed')
  const kept: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase()
    if (!fleeting.has(name) && !name.startsWith('x-ratelimit-') && !name.startsWith('access-control-'))
      kept.push(name, headers[at + 1]!)
  }
  return JSON.stringify({
    status,
    headers: kept,
    ...(typeof body === 'string' ? { text: body } : body !== undefined && { bytes: body.toString('base64') }),
  })
}

/** Stored in place of an answer that is not kept. */
export function packGone(gone: Gone): string {
  return JSON.stringify({ gone })
}

interface Packed {
  readonly gone?: Gone
  readonly status: number
  readonly headers: readonly string[]
  readonly text?: string
  readonly bytes?: string
}

export function unpack(packed: string): Kept {
  const { gone, status, headers, text, bytes } = JSON.parse(packed) as Packed
  if (gone !== undefined) return { gone }
  return { answer: { status, headers, body: text ?? (bytes === undefined ? undefined : Buffer.from(bytes, 'base64')) } }
}
