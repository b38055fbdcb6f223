import type { Static, TSchema } from 'typebox'
import type { Dedupe, Priority } from './driver.ts'

/** A schema of another library, see https://standardschema.dev. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
  }
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string; readonly path?: readonly unknown[] | undefined }[] }

/** TypeBox (plain JSON Schema), or a schema of any library that follows Standard Schema. */
export type PayloadSchema = TSchema | StandardSchema

/** What `enqueue` takes for a schema. */
export type PayloadInput<S> = S extends { readonly '~standard': { readonly types?: infer T } }
  ? NonNullable<T> extends { readonly input: infer I }
    ? I
    : unknown
  : S extends TSchema
    ? Static<S>
    : unknown

/** Wait before the next attempt: full jitter, a random time in [0, min(cap, base * 2^(attempt - 1))]. */
export interface Backoff {
  /** Default 1 s. */
  readonly baseMs?: number
  /** Default 1 h. */
  readonly capMs?: number
}

/** What a handler gets for a schema. */
export type PayloadOutput<S> = S extends { readonly '~standard': { readonly types?: infer T } }
  ? NonNullable<T> extends { readonly output: infer O }
    ? O
    : unknown
  : PayloadInput<S>

/** What a product writes. Payloads are JSON: what comes out of a job is what JSON makes of what went in. */
export interface JobSpec<Payload> {
  /** `noun.verb`, stable for ever: letters, digits and `._:-`, at most 128. Workers without it leave its jobs alone. */
  readonly kind: string
  /** Checked when a job is added. Absent: all JSON passes. */
  readonly schema?: PayloadSchema
  /** Default `default`. */
  readonly queue?: string
  /** Default 3 (normal). */
  readonly priority?: Priority
  /** Runs that begin, 1 to 1000. Default 20: about a day with the standard backoff. */
  readonly maxAttempts?: number
  /** Of one run; its signal aborts then. Default: the runner's. */
  readonly timeoutMs?: number
  readonly backoff?: Backoff
  /** Group for fairness and limits per key. Default: the tenant. */
  readonly key?: (payload: Payload) => string | undefined
  /** For every job of this kind that is added without one. */
  readonly dedupe?: (payload: Payload) => Dedupe | undefined
  readonly tags?: readonly string[]
  /** Finished jobs stay visible as history. Default true; false saves a write per job. */
  readonly keepDone?: boolean
}

/** A kind of job: data, without its handler, so that whoever adds jobs loads nothing of whoever runs them. */
export interface Job<Payload = unknown, Handled = Payload> extends JobSpec<Payload> {
  readonly queue: string
  readonly priority: Priority
  readonly maxAttempts: number
  readonly backoff: { readonly baseMs: number; readonly capMs: number }
  readonly keepDone: boolean
  /** Checks and encodes. Throws (or rejects with) `jobs.payload_invalid`. */
  readonly check: PayloadCheck<Payload>
  /** Of types only: what handlers get. */
  readonly handled?: Handled
}

/** Gives what is stored, or a promise of it where the schema's library is asynchronous. */
export type PayloadCheck<Payload> = (payload: Payload) => unknown
