import type { RequestContext } from '../../kernel/context.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import type { Answer } from './answer.ts'

/** A request with a key. */
export interface KeyedRequest {
  readonly tenantId: string | null
  /** Kind and id of the authenticated caller. `null` for strangers: then the key is good for this very request only. */
  readonly principal: string | null
  readonly key: string
  /** The same for every try of one request, different for any other. Stored sealed. */
  readonly fingerprint: string
  /** For events, e.g. `POST /api/v1/notes`. */
  readonly operation: string
  /** The unit of work, by which `inTransaction` finds the key again. */
  readonly context: RequestContext
  /** Ends waiting. */
  readonly signal?: AbortSignal | undefined
  /** Makes the answer of what a handler would return; without it `inTransaction` records the effect alone. */
  render?(value: unknown): Answer
}

export interface Outcome {
  readonly answer: Answer
  /** `replayed`: of an earlier request. `unprotected`: the store was away and the app prefers to go on. */
  readonly source: 'executed' | 'replayed' | 'unprotected'
  /** Whether a later try gets this answer. False for a final answer that could not be stored. */
  readonly kept: boolean
}

/** Carries a request out once, however often it is sent. */
export interface Idempotency {
  /**
   * Runs `work` unless a request with this key has been carried out, and gives the stored answer otherwise. While
   * another is at work it waits for a moment. Throws `idempotency.key_reused`, `in_progress`, `answer_gone`,
   * `unavailable`.
   */
  once(request: KeyedRequest, work: () => Promise<Answer>): Promise<Outcome>
  /**
   * Puts the record of the running request into the handler's transaction, as its last statement: effect and record
   * commit together, or neither does. `value` is what the handler is about to return; a crash right after the commit
   * then loses nothing, without it later tries get 410. Throws `idempotency.lease_lost` when another attempt has
   * taken over, which rolls `tx` back. Does nothing for requests without a key. With drivers that are not
   * `transactional` it checks the lease alone.
   */
  inTransaction(tx: Queryable, value?: unknown): Promise<void>
  /**
   * A key for an outside service (43 characters): the same in every try of the running request, another for each
   * `purpose`. `undefined` for requests without a key.
   */
  keyFor(purpose: string): string | undefined
}

/** What the plugin knows besides. */
export interface RunningIdempotency extends Idempotency {
  /** Name of the driver. */
  readonly store: string
  readonly running: number
  readonly waiting: number
  start(): void
  stop(): Promise<void>
  /** Deletes what has had its time; returns how many keys. */
  sweep(): Promise<number>
  ping(): Promise<void>
}

export const idempotencyPort: Port<Idempotency> = port<Idempotency>('idempotency', () =>
  import('./plugin.ts').then((module) => module.idempotency()),
)
