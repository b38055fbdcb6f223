import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../../../http/feature.ts'
import { createTestApp } from '../../../../testing/app.ts'
import { defineJob } from '../../define-job.ts'
import { jobsPort } from '../../jobs.ts'
import { schedulesPort } from '../schedules.ts'
import { defineSchedule } from '../schedule.ts'
import type { Schedule } from '../schedule.ts'

const job = defineJob({ kind: 'rollup' })
const part = (name: string, schedules: readonly Schedule[]): ReturnType<typeof defineFeature> =>
  defineFeature({ name, setup: () => {}, schedules: () => schedules })

describe('an app with schedules', () => {
  it('has those of its parts and of its config from its first start on, and brings the scheduler by itself', async () => {
    const config = {
      name: 'shop',
      features: [part('reports', [defineSchedule({ name: 'daily', job, cron: '@daily' })])],
      schedules: [defineSchedule({ name: 'hourly', job, every: '1h' })],
    }
    await using app = await createTestApp({ config })
    const schedules = app.get(schedulesPort)
    await app.work()
    const { items } = await schedules.list()
    expect(items.map(({ name, origin, state }) => [name, origin, state])).toEqual([
      ['daily', 'shop', 'active'],
      ['hourly', 'shop', 'active'],
    ])
    await schedules.trigger('daily')
    expect(await app.get(jobsPort).list({ tag: 'schedule:daily' })).toMatchObject({ items: [{ kind: 'rollup' }] })
    await app.stop()
  })

  it('does not start when two parts declare the same name', async () => {
    const twice = [
      part('a', [defineSchedule({ name: 'x', job, every: '1h' })]),
      part('b', [defineSchedule({ name: 'x', job, every: '2h' })]),
    ]
    await expect(createTestApp({ features: twice })).rejects.toMatchObject({ code: 'jobs.schedule_exists' })
  })
})
