/** One process with a scheduler. It tells its parent of each tick that it has added, and when it leads. */
import { subscribe } from 'node:diagnostics_channel'
import { createDb } from 'tsforge/db'
import { postgres as database } from 'tsforge/db/postgres'
import { createScheduler, defineJob, defineSchedule } from 'tsforge/jobs'
import type { ScheduleFired } from 'tsforge/jobs'
import { postgres } from 'tsforge/jobs/postgres'

export type Said = { readonly say: 'ready' } | { readonly say: 'fired'; readonly schedule: string; readonly at: number }

const say = (said: Said): void => void process.send!(said)
const db = createDb(database({ url: process.argv[2]!, max: 3 }))
const job = defineJob<{ readonly n: number }>({ kind: 'tick', queue: 'ticks' })
const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe']
const scheduler = createScheduler({ driver: postgres({ db }), db, pollMs: 500 })

subscribe('schedule.fired', (message) => {
  const { schedule, at } = message as ScheduleFired
  say({ say: 'fired', schedule, at: at.getTime() })
})
process.on('disconnect', () => process.exit(0))
await scheduler.declare([
  ...zones.map((timeZone) =>
    defineSchedule({
      name: `every-second-${timeZone.split('/').at(-1)}`,
      job,
      payload: { n: 1 },
      cron: '* * * * * *',
      timeZone,
      catchUp: 'all',
    }),
  ),
  defineSchedule({ name: 'interval', job, payload: { n: 2 }, every: '1s', anchor: new Date(500), catchUp: 'all' }),
])
await scheduler.start()
say({ say: 'ready' })
