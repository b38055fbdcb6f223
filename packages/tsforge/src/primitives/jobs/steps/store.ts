import type { Queryable } from '../../db/index.ts'
import type { JobError, JobId, JobsDriver, LeaseId, NewJob } from '../driver.ts'

/** Whose step it is; nothing is stored for a job whose lease is lost. */
export interface StepOwner {
  readonly job: JobId
  readonly lease: LeaseId
}

export type StepKind = 'run' | 'sleep' | 'event' | 'children'

/** A step that a job has come to. */
export interface StepRow {
  readonly name: string
  /** The handler's n-th step, from 0. */
  readonly place: number
  readonly kind: StepKind
  readonly ended: boolean
  /** Until it ends by itself, from the moment of the answer; `undefined`: never. */
  readonly leftMs: number | undefined
  /** Of a `run`: its result. Of an `event` that came: a `Signal`. */
  readonly value: unknown
}

export interface StepPlace {
  readonly name: string
  readonly place: number
}

export interface EventWait extends StepPlace {
  readonly event: string
  /** JSON text of an object that the payload has to contain. */
  readonly match: string | undefined
  readonly timeoutMs: number | undefined
  /** How far back; default: since the job was added. */
  readonly lookbackMs: number | undefined
}

export interface Member {
  readonly name: string
  readonly job: NewJob
  /** Places of members that have to be done before it may run. */
  readonly needs: readonly number[]
}

/** A job that another one waits for. */
export interface MemberRow {
  readonly id: JobId
  readonly name: string
  readonly ended: 'done' | 'dead' | 'cancelled' | undefined
  readonly output: unknown
  readonly error: JobError | undefined
}

/**
 * Where steps lie. Whatever takes an owner gives `undefined` when its lease is lost, and stores nothing then. A step
 * that is stored already stays as it is and is given back. Rows leave with their job.
 */
export interface StepStore {
  /** All steps of a job. Ends waits whose time is up. */
  load(owner: StepOwner): Promise<readonly StepRow[] | undefined>
  /** `value`: JSON text. */
  result(owner: StepOwner, step: StepPlace, value: string): Promise<StepRow | undefined>
  /** Runs `fn`, which gives JSON text, and stores that in the same transaction. */
  transaction(owner: StepOwner, step: StepPlace, fn: (tx: Queryable) => Promise<string>): Promise<StepRow | undefined>
  sleep(owner: StepOwner, step: StepPlace, until: { inMs: number } | { atMs: number }): Promise<StepRow | undefined>
  /** Ended at once when a signal is there that no earlier step of the job has taken: the oldest. */
  wait(owner: StepOwner, wait: EventWait): Promise<StepRow | undefined>
  /** Ends all waits that it fits, each of which takes one signal alone, and keeps it for later ones. Gives how many it ended. */
  signal(event: string, payload: string, tx?: Queryable): Promise<number>
  /** Adds the jobs and notes that the step waits for them, in one commit. */
  children(
    owner: StepOwner,
    step: StepPlace,
    members: readonly Member[],
    failFast: boolean,
  ): Promise<StepRow | undefined>
  /** Children of a job, in the order in which they were given. */
  members(parent: JobId, step: string): Promise<readonly MemberRow[]>
  /** Those that a child needs; `undefined`: it is nobody's. */
  needsOf(child: JobId): Promise<readonly MemberRow[] | undefined>
}

/** A driver whose jobs can have steps. */
export interface StepDriver extends JobsDriver {
  readonly steps: StepStore
}

/** A child waits there for what it needs: the farthest moment that a job can be given. */
export const blockedUntilMs: number = Date.UTC(9999, 0)

/** The job of a member as it is added: it knows its parent, and so does whoever ends it. */
export function childJob({ job, needs }: Member, parent: JobId): NewJob {
  const meta = JSON.stringify({ ...(job.meta === undefined ? {} : (JSON.parse(job.meta) as object)), parent })
  return { ...job, meta, dedupe: undefined, ...(needs.length > 0 && { runAtMs: blockedUntilMs }) }
}
