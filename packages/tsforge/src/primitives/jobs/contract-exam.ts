import type { ClaimedJob, Finished, JobError, JobsDriver, NewJob, StepRequest, StepResult } from './driver.ts'

/** A driver on an empty store. */
export interface JobsLab {
  readonly driver: JobsDriver
  /** Lets `ms` pass for the store. */
  pass(ms: number): Promise<void>
  /** Empties the store. */
  clear(): Promise<void>
  close(): Promise<void>
}

export const error: JobError = { name: 'Error', message: 'no' }
/** So long that no lease runs out by itself while a busy machine stands still. */
export const leaseMs: number = 600_000

export function jobOf(job: Partial<NewJob>): NewJob {
  return { kind: 'k', queue: 'q', payload: '{}', priority: 3, maxAttempts: 3, delayMs: 0, ...job }
}

export const idsOf = ({ jobs }: StepResult): number[] => jobs.map((job) => job.id)
export const done = ({ id, lease }: ClaimedJob): Finished => ({ id, lease, as: 'done', keep: true, runMs: 5 })
export const failed = ({ id, lease }: ClaimedJob, delayMs = 0): Finished => ({
  id,
  lease,
  as: 'failed',
  error,
  delayMs,
})

/** What the questions of the contract are asked with. The lab is there once the suite runs. */
export class Exam {
  #lab: JobsLab | undefined
  #workers = 0

  get lab(): JobsLab {
    return this.#lab!
  }
  set lab(lab: JobsLab) {
    this.#lab = lab
  }
  get driver(): JobsDriver {
    return this.lab.driver
  }

  worker(): string {
    return `worker-${++this.#workers}`
  }

  async add(...jobs: Partial<NewJob>[]): Promise<number[]> {
    return (await this.driver.add(jobs.map(jobOf))).added.map(({ id }) => id!)
  }

  step(worker: string, request: Partial<StepRequest> = {}): Promise<StepResult> {
    const usual = { queue: 'q', worker, leaseMs, kinds: ['k'], want: 100, finished: [], idle: false }
    return this.driver.step({ ...usual, ...request })
  }

  finish(worker: string, ...finished: Finished[]): Promise<StepResult> {
    return this.step(worker, { want: 0, finished })
  }

  async stateOf(id: number): Promise<string | undefined> {
    return (await this.driver.get(id))?.state
  }
}
