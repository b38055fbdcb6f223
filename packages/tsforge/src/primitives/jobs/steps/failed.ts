import { Discard } from '../runner/handler.ts'
import type { ChildResult } from './step.ts'

/** Children of this job are dead or cancelled. Ends the job as dead unless its handler catches it. */
export class ChildrenFailed extends Discard {
  /** Of all children. */
  readonly results: readonly ChildResult[]

  constructor(step: string, results: readonly ChildResult[]) {
    const failed = results.filter(({ state }) => state !== 'done')
    const names = failed.slice(0, 5).map(({ name, id, state }) => `${name} (${id}) is ${state}`)
    super(`${failed.length} of the ${results.length} jobs of step "${step}" failed: ${names.join(', ')}`)
    this.results = results
  }
}
