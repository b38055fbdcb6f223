import type { Log } from '../../kernel/log.ts'
import type { Secret } from '../../kernel/secret.ts'
import type { Tx } from '../../primitives/db/index.ts'
import type { Backoff } from '../../primitives/jobs/index.ts'
import { webhooksInErrors } from './errors.ts'
import type { Headers, WebhookVerifier } from './verifier.ts'

/** For whom secrets are looked up. Nothing of it has been verified yet. */
export interface SecretsCall {
  /** Of the address; `null` for sources that are the app's own. */
  readonly tenantId: string | null
  readonly headers: Headers
}

export type Secrets = readonly (string | Secret)[]
export type SecretsLookup = (call: SecretsCall) => Secrets | Promise<Secrets>

/** One webhook as it came and was verified. */
export interface WebhookDelivery {
  /** Ours. */
  readonly id: string
  readonly source: string
  readonly tenantId: string | null
  /** The sender's, or a digest of what was signed where it gives none. */
  readonly deliveryId: string
  readonly event: string | null
  /** `null` where the scheme signs no time. */
  readonly signedAt: Date | null
  readonly receivedAt: Date
  /** Names in lower case, without credentials and signatures. Where the scheme signs only the body, nobody has signed them. */
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string | null
  /** Exactly the bytes that came. */
  readonly body: Buffer
  /** The body as JSON; throws a `SyntaxError` when it is none. */
  json<T = unknown>(): T
}

export interface WebhookCall {
  /** From 1. */
  readonly attempt: number
  /** Aborts when the time is up, the lease is lost, or the process ends. */
  readonly signal: AbortSignal
  readonly log: Log
  /**
   * Runs `work` in a transaction that also notes that it was done: effects in the app's database happen once, however
   * often the handler runs. `undefined` when it had been done before.
   */
  once<T>(work: (tx: Tx) => Promise<T>): Promise<T | undefined>
}

export interface WebhookSource {
  /** In the address: `/api/v1/hooks/<name>`. Lower-case letters, digits, `-` and `_`, at most 48. */
  readonly name: string
  readonly verifier: WebhookVerifier
  /**
   * All secrets that are valid now: during a rotation the new and the old one, at most 16. None: everything is refused. Looked up
   * for each request, so that a rotation needs no restart; throwing answers 503. Of `basicAuth()`: `user:password`. Of `sns()`, whose
   * messages bring their certificate with them: the ARNs of the topics that may send.
   */
  readonly secrets: Secrets | SecretsLookup
  /** `true`: the address ends with the id of a tenant, whose secrets are looked up and in whose name the handler runs. Default false. */
  readonly perTenant?: boolean
  /** Kinds of events that are kept, `*` for one part and `**` for the rest: `invoice.*`. Default: all. Others get their 2xx and are forgotten. */
  readonly events?: readonly string[]
  /** Default 5 minutes, both ways; of `sns()` 90 minutes back, since its repetitions keep their time. */
  readonly toleranceMs?: number
  /** Default `FORGE_WEBHOOKS_IN_BODY_LIMIT`. */
  readonly bodyBytes?: number
  /** Of the handler. Default 20. */
  readonly maxAttempts?: number
  /** Full jitter in [0, min(cap, base * 2^(attempt - 1))]. Default 1 s, 1 h. */
  readonly backoff?: Backoff
  /** Of one run of the handler. Default: that of jobs. */
  readonly timeoutMs?: number
  /**
   * Runs as a job, after the sender got its 2xx: at least once for each delivery. What it throws is tried again; `RetryAfter`,
   * `Snooze` and `Discard` of tsforge/jobs say otherwise.
   */
  handler(delivery: WebhookDelivery, call: WebhookCall): unknown
}

/** Checks a source. Throws `webhooks_in.source_invalid`. */
export function defineWebhookSource(source: WebhookSource): WebhookSource {
  const { name, secrets, toleranceMs, bodyBytes, events } = source
  const must = (right: boolean, reason: string): void => {
    if (!right) throw webhooksInErrors.error('webhooks_in.source_invalid', { meta: { source: String(name), reason } })
  }
  must(typeof name === 'string' && /^[a-z][a-z0-9_-]{0,47}$/.test(name), 'its name is not valid')
  must(typeof secrets === 'function' || Array.isArray(secrets), 'secrets is neither a list nor a function')
  must(typeof source.handler === 'function', 'it has no handler')
  must(toleranceMs === undefined || (toleranceMs > 0 && toleranceMs <= 3_600_000), 'its tolerance is over an hour')
  must(bodyBytes === undefined || (Number.isInteger(bodyBytes) && bodyBytes > 0), 'bodyBytes is not a size')
  must(events === undefined || events.every((event) => event !== ''), 'an event is empty')
  if (typeof secrets !== 'function')
    for (const secret of secrets) {
      try {
        source.verifier.scheme.key(secret)
      } catch (error) {
        must(false, `a secret cannot be used (${(error as Error).message})`)
      }
    }
  return source
}

/** Whether events of this kind are kept. */
export function keeps(patterns: readonly string[] | undefined): (event: string | null) => boolean {
  if (patterns === undefined) return () => true
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const forms = patterns
    .filter((pattern) => pattern.includes('*'))
    .map((pattern) => {
      const parts = pattern
        .split(/(\*{1,2})/)
        .map((part) => (part === '**' ? '.*' : part === '*' ? '[^./]*' : part.replace(/[^\w]/g, '\\$&')))
      return new RegExp(`^${parts.join('')}$`)
    })
  return (event) => event !== null && (exact.has(event) || forms.some((form) => form.test(event)))
}
