import { defineFeature } from '../../../http/feature.ts'
import type { Feature } from '../../../http/feature.ts'
import { systemClock } from '../../../kernel/clock.ts'
import type { Port } from '../../../kernel/plugin.ts'
import { dbPort } from '../../db/index.ts'
import { jobsErrors } from '../errors.ts'
import { jobsPort } from '../jobs.ts'
import { createScheduler } from './create-scheduler.ts'
import type { Scheduler } from './create-scheduler.ts'
import { schedulesOptions } from './options.ts'
import type { SchedulesOptions } from './options.ts'
import type { Schedule } from './schedule.ts'
import { schedulesPort } from './schedules.ts'
import type { Schedules } from './schedules.ts'

interface RunningSchedules extends Schedules {
  readonly scheduler: Scheduler
  declared: readonly Schedule[]
}

/** Adds the jobs of schedules: those that parts of the app declare as `schedules`, and those made at run time. */
export function schedules(): Feature {
  return defineFeature<
    SchedulesOptions,
    { readonly db: typeof dbPort; readonly jobs: typeof jobsPort },
    RunningSchedules
  >({
    name: 'schedules',
    options: schedulesOptions,
    needs: { db: dbPort, jobs: jobsPort },
    provides: schedulesPort as Port<RunningSchedules>,
    setup({ db, jobs, clock, log, metrics, app, options }) {
      const scheduler = createScheduler({
        driver: jobs.driver,
        db,
        clock,
        // Ticks follow the database's time on all machines alike; a test that brings a clock decides by itself.
        time: clock === systemClock ? undefined : clock,
        log,
        metrics,
        origin: app.name,
        pollMs: options.pollMs,
        enabled: options.scheduler === 'on',
      })
      return Object.assign(scheduler.schedules, { scheduler, declared: [] })
    },
    worker: {
      declare(service, { schedules: declared }) {
        service.declared = declared as readonly Schedule[]
        const names = service.declared.map(({ name }) => name)
        const twice = names.find((name, i) => names.indexOf(name) !== i)
        if (twice !== undefined) throw jobsErrors.error('jobs.schedule_exists', { meta: { name: twice } })
      },
      async start({ scheduler, declared }) {
        await scheduler.declare(declared)
        await scheduler.start()
      },
      drain: ({ scheduler }) => scheduler.stop(),
      stop: ({ scheduler }) => scheduler.stop(),
    },
  })
}
