import { field } from '../../kernel/options.ts'
import type { OptionsSchema, Siblings } from '../../kernel/options.ts'
import type { Secret } from '../../kernel/secret.ts'

export interface RedisOptions {
  readonly plaintextAllowed: boolean
  readonly url: Secret | undefined
  readonly deadlineMs: number
  readonly connectMs: number
}

const loopback = new Set(['localhost', '127.0.0.1', '[::1]', ''])

function addressesIn(url: Secret): readonly string[] {
  return url
    .reveal()
    .split(',')
    .map((one) => one.trim())
}

/** Passwords and data must not cross a network in the clear, unless somebody says that this network is theirs. */
function refusePlaintext(url: Secret | undefined, { plaintextAllowed }: Siblings): string | undefined {
  if (url === undefined || plaintextAllowed === true) return undefined
  const exposed = addressesIn(url).some((one) => {
    const parsed = URL.parse(one)
    return parsed !== null && parsed.protocol === 'redis:' && !loopback.has(parsed.hostname)
  })
  if (!exposed) return undefined
  return 'leads to another machine without TLS: write rediss://, or set FORGE_REDIS_PLAINTEXT_ALLOWED=true'
}

function refuseMixture(url: Secret | undefined): string | undefined {
  if (url === undefined) return undefined
  const parsed = addressesIn(url).map((one) => URL.parse(one))
  if (parsed.some((one) => one === null || !/^rediss?:$/.test(one.protocol)))
    return 'must be URLs that start with redis:// or rediss://, separated by commas'
  if (parsed.some((one) => one!.pathname.length > 1 && !/^\/\d+$/.test(one!.pathname)))
    return 'may end in the number of a database only'
  if (parsed.length > 1 && parsed.some((one) => /^\/[1-9]/.test(one!.pathname)))
    return 'names a cluster, which has database 0 only'
  return undefined
}

export const redisOptions: OptionsSchema<RedisOptions> = {
  plaintextAllowed: field.boolean('FORGE_REDIS_PLAINTEXT_ALLOWED', {
    doc: 'The network to Redis is trusted: production accepts redis:// to other machines.',
    default: false,
  }),
  url: field.optional(
    field.secretUrl('REDIS_URL', {
      doc: 'Redis or Valkey server, redis:// or rediss:// (TLS). Several, comma separated, are nodes of one cluster.',
      example: 'redis://127.0.0.1:6379',
      protocols: ['redis', 'rediss'],
      check: refuseMixture,
      production: refusePlaintext,
    }),
  ),
  deadlineMs: field.duration('FORGE_REDIS_DEADLINE', {
    doc: 'How long a command may take. An overdue answer cuts the connection; a new one is opened at once.',
    default: '500ms',
    min: '20ms',
    max: '60s',
  }),
  connectMs: field.duration('FORGE_REDIS_CONNECT_TIMEOUT', {
    doc: 'How long one attempt to connect may take, TLS and login included.',
    default: '2s',
    min: '100ms',
    max: '60s',
  }),
}
