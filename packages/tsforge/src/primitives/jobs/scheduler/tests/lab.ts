import type { MigrationSource } from '../../../../kernel/plugin.ts'
import { createFakeClock } from '../../../../testing/clock.ts'
import type { FakeClock } from '../../../../testing/clock.ts'
import { testDb } from '../../../../testing/db.ts'
import type { TestDb } from '../../../../testing/db.ts'
import { defineJob } from '../../define-job.ts'
import type { JobsDriver } from '../../driver.ts'
import { memory } from '../../drivers/memory.ts'
import { postgres } from '../../drivers/postgres.ts'
import type { Job } from '../../job.ts'
import { createScheduler } from '../create-scheduler.ts'
import { memoryScheduleStore } from '../memory-store.ts'
import type { Scheduler, SchedulerSettings } from '../create-scheduler.ts'

export const migrations: MigrationSource = {
  module: 'jobs',
  directory: new URL('../../migrations/', import.meta.url),
}

export const job: Job<{ readonly n: number }> = defineJob<{ readonly n: number }>({ kind: 'rollup', queue: 'q' })

export interface Lab extends AsyncDisposable {
  readonly clock: FakeClock
  readonly driver: JobsDriver
  /** One more process. */
  scheduler(settings?: Partial<SchedulerSettings>): Scheduler
  /** The ticks whose jobs there are, of one schedule, in order. */
  ticks(name: string): Promise<string[]>
  readonly db: TestDb | undefined
}

/** Whether the store of jobs has room for those of a schedule. */
export type Room = (name: string) => boolean

export async function memoryLab(now: string, room?: Room): Promise<Lab> {
  const clock = createFakeClock(Date.parse(now))
  const driver = narrow(memory({ clock }), room)
  const store = memoryScheduleStore({ driver, clock })
  return {
    clock,
    driver,
    db: undefined,
    scheduler: (settings) => createScheduler({ driver, store, clock, ...settings }),
    ticks: (name) => ticksIn(driver, name),
    [Symbol.asyncDispose]: () => driver.close(),
  }
}

export async function postgresLab(now: string, room?: Room): Promise<Lab & { readonly db: TestDb }> {
  const clock = createFakeClock(Date.parse(now))
  const db = await testDb({ migrations: [migrations] })
  const driver = postgres({ db })
  return {
    clock,
    driver,
    db,
    scheduler(settings) {
      const own = db.url === undefined ? db : db.another()
      return createScheduler({
        driver: narrow(postgres({ db: own }), room, true),
        db: own,
        clock,
        time: clock,
        ...settings,
      })
    },
    ticks: (name) => ticksIn(driver, name),
    [Symbol.asyncDispose]: async () => db[Symbol.asyncDispose](),
  }
}

async function ticksIn(driver: JobsDriver, name: string): Promise<string[]> {
  const all: string[] = []
  let before: number | undefined
  for (;;) {
    const page = await driver.list({ filter: { tag: `schedule:${name}` }, limit: 1000, before })
    all.push(...page.map(({ runAt }) => runAt.toISOString()))
    if (page.length < 1000) return all.toSorted()
    before = page.at(-1)!.id
  }
}

function narrow(driver: JobsDriver, room: Room = () => true, isLate = false): JobsDriver {
  return new Proxy(driver, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      if (key !== 'add') return (value as (...given: unknown[]) => unknown).bind(target)
      return async (...[jobs, options]: Parameters<JobsDriver['add']>) => {
        const names = jobs.map(({ tags }) => tags?.at(-1)?.slice('schedule:'.length) ?? '')
        // Late: after the jobs are there, so that the transaction has to take them back.
        const added = isLate ? await target.add(jobs, options) : undefined
        if (!names.every(room)) throw new Error('no room')
        return added ?? target.add(jobs, options)
      }
    },
  })
}
