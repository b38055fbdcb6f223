import type { Job } from '../job.ts'
import type { Handler, JobHandler } from './handler.ts'
import type { KindMeter, Meter } from './meter.ts'

/** A kind of job as a runner knows it. One object for each kind: also what bulkheads tell units of work apart by. */
export class Kind {
  readonly job: Job
  readonly run: Handler
  readonly meter: KindMeter
  /**
   * Whether payloads are checked again before they run. Schemas of other libraries may change what they check, so that
   * what is stored is their output and not what they take.
   */
  readonly recheck: boolean

  constructor({ job, run }: JobHandler, meter: Meter) {
    this.job = job
    this.run = run
    this.meter = meter.ofKind(job.kind)
    this.recheck = job.schema !== undefined && !('~standard' in job.schema)
  }
}
