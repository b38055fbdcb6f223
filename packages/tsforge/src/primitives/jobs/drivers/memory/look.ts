import type { JobFilter, JobState, ListRequest, QueueStats } from '../../driver.ts'
import { stateOf } from './entry.ts'
import type { Entry } from './entry.ts'

export function matches(entry: Entry, filter: JobFilter, now: number): boolean {
  const { job } = entry
  const states = typeof filter.state === 'string' ? [filter.state] : filter.state
  return (
    (states === undefined || states.includes(stateOf(entry, now))) &&
    (filter.queue === undefined || filter.queue === job.queue) &&
    (filter.kind === undefined || filter.kind === job.kind) &&
    (filter.tenantId === undefined || filter.tenantId === job.tenantId) &&
    (filter.tag === undefined || job.tags?.includes(filter.tag) === true) &&
    (filter.key === undefined || filter.key === entry.key) &&
    (filter.ids === undefined || filter.ids.includes(entry.id))
  )
}

export function statsOf(
  entries: readonly Entry[],
  queues: ReadonlyMap<string, boolean>,
  only: string | undefined,
  nowMs: number,
): QueueStats[] {
  const stats = new Map<
    string,
    { queue: string; counts: Record<JobState, number>; oldestMs: number; paused: boolean }
  >()
  for (const [queue, paused] of queues) {
    const counts = { scheduled: 0, ready: 0, running: 0, retrying: 0, done: 0, dead: 0, cancelled: 0 }
    if (only === undefined || only === queue) stats.set(queue, { queue, counts, oldestMs: 0, paused })
  }
  for (const entry of entries) {
    const of = stats.get(entry.job.queue)
    if (of === undefined) continue
    of.counts[stateOf(entry, nowMs)]++
    if (entry.end === 'open' && entry.lease === undefined) of.oldestMs = Math.max(of.oldestMs, nowMs - entry.dueMs)
  }
  return [...stats.values()].toSorted((a, b) => (a.queue < b.queue ? -1 : 1))
}

export function newest(
  entries: readonly Entry[],
  { filter, limit, before = Number.POSITIVE_INFINITY }: ListRequest,
  nowMs: number,
): Entry[] {
  return entries
    .filter((entry) => entry.id < before && matches(entry, filter, nowMs))
    .toSorted((a, b) => b.id - a.id)
    .slice(0, limit)
}
