import { field } from '../kernel/options.ts'
import type { OptionsSchema } from '../kernel/options.ts'
import { parseTrustedProxies } from './client-address.ts'

/** Settings of the HTTP server. Sizes in bytes, times in milliseconds. */
export interface HttpOptions {
  readonly host: string
  readonly port: number
  readonly publicUrl: string | undefined
  readonly bodyLimitBytes: number
  readonly headerLimitBytes: number
  readonly jsonDepth: number
  readonly jsonKeys: number
  readonly requestTimeoutMs: number
  readonly headersTimeoutMs: number
  readonly receiveTimeoutMs: number
  readonly keepAliveMs: number
  readonly closeTimeoutMs: number
  readonly maxRequestsPerSocket: number
  readonly maxConnections: number
  readonly trustedProxies: readonly string[]
  readonly corsOrigins: readonly string[]
  readonly corsCredentials: boolean
  readonly corsMaxAgeMs: number
  readonly hsts: 'auto' | 'on' | 'off'
  readonly docs: boolean
  readonly shedding: boolean
  readonly shedDelayMs: number
  readonly shedHeapPercent: number
  readonly shedRssBytes: number
}

export const httpOptions: OptionsSchema<HttpOptions> = {
  host: field.string('HOST', { doc: 'Address to listen on; `0.0.0.0` inside a container.', default: '127.0.0.1' }),
  port: field.integer('PORT', {
    doc: 'Port to listen on; 0 takes a free one.',
    default: 8080,
    min: 0,
    max: 65_535,
  }),
  publicUrl: field.optional(
    field.url('PUBLIC_URL', {
      doc: 'Address under which callers reach the app; named in the OpenAPI document.',
      example: 'https://api.example.com',
    }),
  ),
  bodyLimitBytes: field.bytes('FORGE_HTTP_BODY_LIMIT', {
    doc: 'Largest request body, unless the route says otherwise (413).',
    default: '1mb',
    min: 1,
  }),
  headerLimitBytes: field.bytes('FORGE_HTTP_HEADER_LIMIT', {
    doc: 'Largest request line and headers together (431).',
    default: '16kb',
    min: 1,
  }),
  jsonDepth: field.integer('FORGE_HTTP_JSON_DEPTH', { doc: 'Deepest nesting of a JSON body.', default: 64, min: 1 }),
  jsonKeys: field.integer('FORGE_HTTP_JSON_KEYS', { doc: 'Most names in a JSON body.', default: 10_000, min: 1 }),
  requestTimeoutMs: field.duration('FORGE_HTTP_REQUEST_TIMEOUT', {
    doc: 'Longest time from arrival to answer, unless the route says otherwise (503).',
    default: '30s',
    min: 1,
  }),
  headersTimeoutMs: field.duration('FORGE_HTTP_HEADERS_TIMEOUT', {
    doc: 'Longest time for the headers to arrive (408).',
    default: '10s',
    min: 1,
  }),
  receiveTimeoutMs: field.duration('FORGE_HTTP_RECEIVE_TIMEOUT', {
    doc: 'Longest time for a whole request to arrive (408).',
    default: '30s',
    min: 1,
  }),
  keepAliveMs: field.duration('FORGE_HTTP_KEEP_ALIVE', {
    doc: 'How long an idle connection stays open. Set it above the idle time of a load balancer in front.',
    default: '20s',
    min: 1,
  }),
  closeTimeoutMs: field.duration('FORGE_HTTP_CLOSE_TIMEOUT', {
    doc: 'How long stopping waits for requests in flight before it cuts them.',
    default: '15s',
    min: 1,
  }),
  maxRequestsPerSocket: field.integer('FORGE_HTTP_MAX_REQUESTS_PER_SOCKET', {
    doc: 'Requests after which a connection is closed, so that load spreads again; 0 for no limit.',
    default: 100_000,
    min: 0,
  }),
  maxConnections: field.integer('FORGE_HTTP_MAX_CONNECTIONS', {
    doc: 'Open connections; further ones are dropped.',
    default: 10_000,
    min: 1,
  }),
  trustedProxies: field.list('FORGE_HTTP_TRUSTED_PROXIES', {
    doc: 'Addresses or CIDR blocks whose X-Forwarded-For is believed, or one number: the hops in front.',
    default: [],
    check: (value) => {
      try {
        parseTrustedProxies(value)
        return undefined
      } catch (error) {
        return (error as Error).message
      }
    },
  }),
  corsOrigins: field.list('FORGE_CORS_ORIGINS', {
    doc: 'Origins whose pages may call this API: exact `https://host[:port]`, or `*` for any (without credentials).',
    default: [],
    check: (value) => value.map(refuseOrigin).find((fault) => fault !== undefined),
  }),
  corsCredentials: field.boolean('FORGE_CORS_CREDENTIALS', {
    doc: 'Whether pages of those origins may send cookies.',
    default: false,
    check: (value, { corsOrigins }) =>
      value && Array.isArray(corsOrigins) && corsOrigins.includes('*')
        ? 'cannot go with FORGE_CORS_ORIGINS=*: every page on the web could act for a signed-in user'
        : undefined,
  }),
  corsMaxAgeMs: field.duration('FORGE_CORS_MAX_AGE', {
    doc: 'How long a browser may keep a preflight answer.',
    default: '2h',
  }),
  hsts: field.oneOf('FORGE_HTTP_HSTS', {
    values: ['auto', 'on', 'off'],
    doc: 'Strict-Transport-Security; `auto` sends it in production.',
    default: 'auto',
  }),
  docs: field.boolean('FORGE_HTTP_DOCS', { doc: 'Serves /openapi.json and /docs.', default: true }),
  shedding: field.boolean('FORGE_HTTP_SHEDDING', {
    doc: 'Answers 503 while the process is overloaded (health routes excepted).',
    default: true,
  }),
  shedDelayMs: field.duration('FORGE_HTTP_SHED_DELAY', {
    doc: 'Event-loop delay that counts as overload.',
    default: '1s',
    min: 1,
  }),
  shedHeapPercent: field.integer('FORGE_HTTP_SHED_HEAP_PERCENT', {
    doc: 'Share of the heap limit that counts as overload.',
    default: 95,
    min: 1,
    max: 100,
  }),
  shedRssBytes: field.bytes('FORGE_HTTP_SHED_RSS', {
    doc: "Resident memory that counts as overload; 0 takes 95 % of the container's limit, if there is one.",
    default: 0,
    min: 0,
  }),
}

/** Why `origin` cannot be in the list, or `undefined`. */
function refuseOrigin(origin: string): string | undefined {
  if (origin === '*') return undefined
  const parsed = URL.canParse(origin) ? new URL(origin) : undefined
  if (parsed === undefined || parsed.origin !== origin || origin.includes('*') || !/^https?:$/.test(parsed.protocol)) {
    return `"${origin.slice(0, 100)}" is not an exact origin such as https://app.example.com`
  }
  return undefined
}
