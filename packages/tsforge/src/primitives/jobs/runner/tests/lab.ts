import { createFakeClock } from '../../../../testing/clock.ts'
import type { FakeClock } from '../../../../testing/clock.ts'
import { createJobs } from '../../create-jobs.ts'
import type { JobsDriver } from '../../driver.ts'
import { memory } from '../../drivers/memory.ts'
import type { Jobs } from '../../jobs.ts'
import { createRunner } from '../create-runner.ts'
import type { Runner } from '../runner.ts'
import type { JobHandler } from '../handler.ts'
import type { RunnerOptions, RunnerSettings } from '../settings.ts'

export interface Lab extends AsyncDisposable {
  readonly clock: FakeClock
  readonly jobs: Jobs
  readonly driver: JobsDriver
  /** A runner on the same store. */
  runner(handlers: readonly JobHandler[], options?: RunnerOptions, more?: Partial<RunnerSettings>): Runner
  /** Lets everything that needs no time happen. */
  settle(): Promise<void>
}

/** Jobs in memory under a clock that stands still. Runners are stopped at the end. */
export function lab(wrap: (driver: JobsDriver) => JobsDriver = (driver) => driver): Lab {
  const clock = createFakeClock()
  const driver = wrap(memory({ clock }))
  const jobs = createJobs(driver)
  const runners: Runner[] = []
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await clock.advance(0)
  }
  return {
    clock,
    jobs,
    driver,
    settle,
    runner(handlers, options, more) {
      const runner = createRunner({ jobs, handlers, clock, ...(options !== undefined && { options }), ...more })
      runners.push(runner)
      return runner
    },
    async [Symbol.asyncDispose]() {
      const stopped = Promise.all(runners.map((each) => each.stop()))
      await Promise.all([stopped, clock.advance(10_000)])
    },
  }
}

/** `driver` with some of its methods replaced. */
export function altered(driver: JobsDriver, changes: (original: JobsDriver) => Partial<JobsDriver>): JobsDriver {
  const own: Partial<JobsDriver> = changes(driver)
  return new Proxy(driver, {
    get: (target, key) => {
      const value: unknown = Object.hasOwn(own, key) ? own[key as keyof JobsDriver] : Reflect.get(target, key, target)
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  })
}

/** Resolves when the signal is aborted, with why. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }))
}
