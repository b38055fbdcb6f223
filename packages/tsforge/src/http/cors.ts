import type { HeaderList } from './security-headers.ts'

const exposed =
  'X-Request-ID, ETag, Location, Retry-After, RateLimit, RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Idempotent-Replayed, Idempotency-Persisted'
const allowedHeaders =
  'Authorization, Content-Type, Accept, Accept-Language, Idempotency-Key, X-Tenant-ID, X-Request-ID, If-Match, If-None-Match, Last-Event-ID, traceparent, tracestate'

/** Cross-origin rules (https://fetch.spec.whatwg.org/#http-cors-protocol), precomputed per origin. */
export interface Cors {
  /** Whether answers differ by Origin and must say so in Vary. */
  readonly varies: boolean
  /** Headers for an answer to `origin`; `undefined` when it is not in the list. */
  answer(origin: string): HeaderList | undefined
  /** Headers for a preflight from `origin`, before Access-Control-Allow-Methods. */
  preflight(origin: string): HeaderList | undefined
}

export interface CorsOptions {
  readonly corsOrigins: readonly string[]
  readonly corsCredentials: boolean
  readonly corsMaxAgeMs: number
}

/** Exact matches only: no suffixes, no patterns, never `null`. Refuses `*` together with credentials. */
export function createCors(options: CorsOptions): Cors {
  const any = options.corsOrigins.includes('*')
  if (any && options.corsCredentials)
    throw new Error(
      'FORGE_CORS_ORIGINS=* cannot go with FORGE_CORS_CREDENTIALS: every page on the web could act for a signed-in user',
    )
  const maxAge = String(Math.trunc(options.corsMaxAgeMs / 1000))
  const entry = (origin: string): { answer: HeaderList; preflight: HeaderList } => {
    const base = ['access-control-allow-origin', origin]
    if (options.corsCredentials) base.push('access-control-allow-credentials', 'true')
    return {
      answer: [...base, 'access-control-expose-headers', exposed],
      preflight: [...base, 'access-control-allow-headers', allowedHeaders, 'access-control-max-age', maxAge],
    }
  }
  const entries = new Map(
    options.corsOrigins.filter((origin) => origin !== 'null').map((origin) => [origin, entry(origin)]),
  )
  const wildcard = entries.get('*')
  const find = (origin: string): ReturnType<typeof entry> | undefined => wildcard ?? entries.get(origin)
  return {
    varies: entries.size > 0 && !any,
    answer: (origin) => find(origin)?.answer,
    preflight: (origin) => find(origin)?.preflight,
  }
}
