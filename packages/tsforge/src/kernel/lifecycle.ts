import type { Clock } from './clock.ts'
import { defineErrors } from './errors.ts'
import type { ErrorCatalogue } from './errors.ts'
import type { Log } from './log.ts'

/** Something that is started, drained and stopped with the app. */
export interface Part {
  readonly name: string
  /** Names of parts that must run before this one starts and until it has stopped. */
  readonly needs?: readonly string[]
  start?(signal: AbortSignal): void | Promise<void>
  /** Take no new work and finish what is held. */
  drain?(signal: AbortSignal): void | Promise<void>
  /** Release everything. */
  stop?(signal: AbortSignal): void | Promise<void>
}

export interface LifecycleSettings {
  readonly clock: Clock
  readonly log: Log
  /** For all of drain and stop together. Default 15 s. */
  readonly stopTimeoutMs?: number
}

export interface StopReport {
  /** `name: phase` of parts that were too slow and left behind, or failed. */
  readonly late: readonly string[]
  readonly failed: readonly string[]
  /** The part that was still starting and did not give up in time. No fault of the stop: whatever it holds, its `stop` ends. */
  readonly interrupted?: string
}

export interface Lifecycle {
  /** Starts all parts, each behind its needs. When one fails, those that run are stopped and the failure is thrown. */
  start(): Promise<void>
  /** Drains, then stops, in reverse order, within the total time. Never rejects; calling it again returns the same promise. */
  stop(): Promise<StopReport>
}

export type LifecycleErrorCode =
  | 'lifecycle.missing_part'
  | 'lifecycle.cycle'
  | 'lifecycle.duplicate_part'
  | 'lifecycle.stopping'

export const lifecycleErrors: ErrorCatalogue<LifecycleErrorCode> = defineErrors({
  'lifecycle.missing_part': {
    status: 500,
    message: {
      en: '"{part}" needs "{needed}", which the app does not have.',
      id: '"{part}" memerlukan "{needed}", yang tidak ada di aplikasi.',
    },
    fix: 'Add the part to the app, or remove the need.',
  },
  'lifecycle.cycle': {
    status: 500,
    message: {
      en: 'Parts need each other in a circle: {circle}.',
      id: 'Bagian saling memerlukan dalam lingkaran: {circle}.',
    },
    fix: 'Remove one of the needs.',
  },
  'lifecycle.duplicate_part': {
    status: 500,
    message: { en: 'Two parts are called "{part}".', id: 'Dua bagian bernama "{part}".' },
    fix: 'Rename or remove one of them.',
  },
  'lifecycle.stopping': {
    status: 503,
    message: { en: 'The app is stopping.', id: 'Aplikasi sedang berhenti.' },
    fix: 'Try again; another replica, or the next start of this one, will answer.',
  },
})

/** `parts` with each one behind its needs, otherwise in the given order. Throws when a need is missing or circular. */
export function inOrder<P extends Pick<Part, 'name' | 'needs'>>(parts: readonly P[]): P[] {
  const byName = new Map<string, P>()
  for (const part of parts) {
    if (byName.has(part.name)) throw lifecycleErrors.error('lifecycle.duplicate_part', { meta: { part: part.name } })
    byName.set(part.name, part)
  }
  const ordered = new Set<P>()
  const path: string[] = []
  const visit = (part: P): void => {
    if (ordered.has(part)) return
    if (path.includes(part.name)) {
      const circle = [...path.slice(path.indexOf(part.name)), part.name].join(' → ')
      throw lifecycleErrors.error('lifecycle.cycle', { meta: { circle } })
    }
    path.push(part.name)
    for (const needed of part.needs ?? []) {
      const found = byName.get(needed)
      if (found === undefined)
        throw lifecycleErrors.error('lifecycle.missing_part', { meta: { part: part.name, needed } })
      visit(found)
    }
    path.pop()
    ordered.add(part)
  }
  for (const part of parts) visit(part)
  return [...ordered]
}

/**
 * Starts and stops `parts` in the order of their needs. Stopping is bounded as a whole: draining may use three
 * quarters of the time, stopping what is left; a part that hangs is named, aborted and left behind. A part that
 * failed to start is not stopped: it cleans up after itself.
 */
export function createLifecycle(parts: readonly Part[], settings: LifecycleSettings): Lifecycle {
  const { clock, log, stopTimeoutMs = 15_000 } = settings
  const ordered = inOrder(parts)
  const running: Part[] = []
  const stopRequested = new AbortController()
  /** The stop has passed by: what finishes its start now has to be stopped by itself. */
  let swept = false
  let starting: Promise<void> | undefined
  let stopping: Promise<StopReport> | undefined

  return {
    start: () => (starting ??= start()),
    stop: () => (stopping ??= stop()),
  }

  async function start(): Promise<void> {
    try {
      for (const part of ordered) {
        stopRequested.signal.throwIfAborted()
        await part.start?.(stopRequested.signal)
        if (swept) await part.stop?.(stopRequested.signal)
        else running.push(part)
      }
      stopRequested.signal.throwIfAborted()
    } catch (error) {
      // When `stop` asked for it, `stop` also cleans up.
      if (!stopRequested.signal.aborted) await (stopping ??= stop(false))
      throw error
    }
  }

  async function stop(afterStart = true): Promise<StopReport> {
    const report: Report = { late: [], failed: [] }
    const deadline = clock.monotonic() + stopTimeoutMs
    stopRequested.abort(lifecycleErrors.error('lifecycle.stopping'))
    if (afterStart && starting !== undefined) {
      // What is about to start would otherwise be missed and run for ever.
      const outcome = await within(clock, stopTimeoutMs / 4, () => starting)
      if (outcome === 'late') {
        report.interrupted = ordered[running.length]!.name
        log.warn({ part: report.interrupted }, 'a part was still starting and is left behind')
      }
    }
    swept = true
    const reversed = [...running].reverse()
    if (afterStart) await each('drain', reversed, deadline - stopTimeoutMs / 4, report)
    await each('stop', reversed, deadline, report)
    return report
  }

  async function each(
    phase: 'drain' | 'stop',
    parts: readonly Part[],
    deadline: number,
    report: Report,
  ): Promise<void> {
    for (const [done, part] of parts.entries()) {
      if (part[phase] === undefined) continue
      // Half of what is left is shared out among those behind, so that one that hangs does not take it all.
      const left = Math.max(0, deadline - clock.monotonic())
      const limitMs = left - (left * (parts.length - done - 1)) / (2 * parts.length)
      const outcome = await within(clock, limitMs, (signal) => part[phase]!(signal))
      if (outcome === 'late') {
        report.late.push(`${part.name}: ${phase}`)
        log.warn({ part: part.name, phase, limitMs: Math.round(limitMs) }, 'a part was too slow and is left behind')
      } else if (outcome !== 'done') {
        report.failed.push(`${part.name}: ${phase}`)
        log.error({ part: part.name, phase, err: outcome.error }, 'a part failed while stopping')
      }
    }
  }
}

interface Report {
  readonly late: string[]
  readonly failed: string[]
  interrupted?: string
}

type Outcome = 'done' | 'late' | { readonly error: unknown }

/** Runs `work` for at most `ms`; its signal is aborted then. A later failure of it is nobody's concern. */
async function within(
  clock: Clock,
  ms: number,
  work: (signal: AbortSignal) => void | Promise<void> | undefined,
): Promise<Outcome> {
  const controller = new AbortController()
  const inTime = new AbortController()
  // A sleep, not a timer: it keeps the process alive until the parts behind have had their turn.
  const late = clock.sleep(ms, inTime.signal).then(
    () => 'late' as const,
    () => 'done' as const,
  )
  const finished = (async () => work(controller.signal))().then(
    () => 'done' as const,
    (error: unknown) => ({ error }),
  )
  const outcome = await Promise.race([finished, late])
  if (outcome === 'late') controller.abort(new Error('the time to stop is up'))
  inTime.abort()
  return outcome
}
