import type { Queryable } from '../../db/index.ts'
import { jobsErrors } from '../errors.ts'
import type { Jobs } from '../jobs.ts'
import { checkEvent, encodeValue } from './encode.ts'
import { stepsOf } from './replay.ts'

/**
 * Tells all jobs that wait for this event, and for a day those that will. A wait takes one signal alone, whoever is first; a
 * signal ends as many waits as it fits. With `tx` it is sent when that commits; until then other waits for the event
 * stand still. Gives how many waits it ended.
 */
export async function signal(jobs: Jobs, event: string, payload?: unknown, tx?: Queryable): Promise<number> {
  checkEvent('signal', event)
  const text = encodeValue('signal', payload)
  if (tx !== undefined && !jobs.driver.capabilities.transactions) throw jobsErrors.error('jobs.tx_unsupported')
  return stepsOf(jobs.driver).signal(event, text, tx)
}
