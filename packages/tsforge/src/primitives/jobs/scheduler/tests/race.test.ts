import { describe, expect, it } from 'vitest'
import { isPglite } from '../../../../testing/server.ts'
import { postgres } from '../../drivers/postgres.ts'
import { createScheduler } from '../create-scheduler.ts'
import type { Scheduler } from '../create-scheduler.ts'
import { defineSchedule } from '../schedule.ts'
import { job, memoryLab, postgresLab } from './lab.ts'
import type { Lab } from './lab.ts'

const minuteMs = 60_000

/** Every tick of a rhythm, by arithmetic alone. */
function rhythm(from: string, to: string, everyMs: number): string[] {
  const all: string[] = []
  for (let at = Date.parse(from); at < Date.parse(to); at += everyMs) all.push(new Date(at).toISOString())
  return all
}

/** Lets time pass in uneven steps, all processes looking at once each time. */
async function live(lab: Lab, processes: readonly Scheduler[], untilMs: number, stepMs: number): Promise<void> {
  for (let i = 0; lab.clock.now() < untilMs; i++) {
    await lab.clock.advance(Math.min(stepMs * (0.5 + ((i * 7) % 10) / 10), untilMs - lab.clock.now()))
    await Promise.all(processes.map((each) => each.round()))
  }
}

describe('two schedulers on one database', () => {
  it.each([
    // [zone, the hour of the change, ticks of '30 2 * * *' or '30 1 * * *' on that day]
    ['Europe/Berlin', '2026-03-29T00:30:00.000Z', '30 2 * * *', ['2026-03-29T01:00:00.000Z']],
    ['Europe/Berlin', '2026-10-25T00:15:00.000Z', '30 2 * * *', ['2026-10-25T00:30:00.000Z']],
    ['America/New_York', '2026-03-08T06:30:00.000Z', '30 2 * * *', ['2026-03-08T07:00:00.000Z']],
    ['America/New_York', '2026-11-01T05:15:00.000Z', '30 1 * * *', ['2026-11-01T05:30:00.000Z']],
    ['Australia/Lord_Howe', '2026-10-03T15:15:00.000Z', '15 2 * * *', ['2026-10-03T15:30:00.000Z']],
    ['Australia/Lord_Howe', '2026-04-04T14:15:00.000Z', '45 1 * * *', ['2026-04-04T14:45:00.000Z']],
    ['UTC', '2026-03-29T02:00:00.000Z', '30 2 * * *', ['2026-03-29T02:30:00.000Z']],
  ])('add each tick once over the hour in which %s changes its clock (%s)', async (timeZone, from, fixed, expected) => {
    const to = new Date(Date.parse(from) + 90 * minuteMs).toISOString()
    await using lab = await postgresLab(new Date(Date.parse(from) - 1).toISOString())
    const processes = [lab.scheduler(), lab.scheduler()]
    const declared = [
      defineSchedule({ name: 'minutely', job, payload: { n: 1 }, cron: '* * * * *', timeZone }),
      defineSchedule({ name: 'fixed', job, payload: { n: 2 }, cron: fixed, timeZone }),
      defineSchedule({ name: 'interval', job, payload: { n: 3 }, every: '7m', anchor: new Date(from) }),
    ]
    await Promise.all(processes.map((each) => each.declare(declared)))
    await live(lab, processes, Date.parse(to) - 1, minuteMs / 2)
    expect(await lab.ticks('minutely')).toEqual(rhythm(from, to, minuteMs))
    expect(await lab.ticks('interval')).toEqual(rhythm(from, to, 7 * minuteMs))
    expect(await lab.ticks('fixed')).toEqual(expected)
  })

  it('add each tick once over a day of 25 hours, while one of them comes and goes', async () => {
    const [from, to] = ['2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z']
    await using lab = await postgresLab(new Date(Date.parse(from) - 1).toISOString())
    const [one, other] = [lab.scheduler(), lab.scheduler()]
    await one.declare([
      defineSchedule({
        name: 'often',
        job,
        payload: { n: 1 },
        cron: '*/10 * * * *',
        timeZone: 'Europe/Berlin',
        catchUp: 'all',
      }),
      defineSchedule({
        name: 'hourly',
        job,
        payload: { n: 1 },
        cron: '0 * * * *',
        timeZone: 'Europe/Berlin',
        catchUp: 'all',
      }),
      defineSchedule({
        name: 'daily',
        job,
        payload: { n: 1 },
        cron: '0 3 * * *',
        timeZone: 'Europe/Berlin',
        catchUp: 'all',
      }),
    ])
    for (let hour = 1; hour <= 25; hour++) {
      const processes = [[one, other], [one], [other], []][hour % 4]!
      await live(lab, processes, Date.parse(from) - 1 + hour * 3_600_000, 8 * minuteMs)
    }
    await one.round()
    expect(await lab.ticks('often')).toEqual(rhythm(from, to, 10 * minuteMs))
    // 02:00 comes twice and is a rhythm here; 25 hours have 25 ticks.
    expect(await lab.ticks('hourly')).toEqual(rhythm(from, to, 3_600_000))
    expect(await lab.ticks('daily')).toEqual(['2026-10-25T02:00:00.000Z'])
  })

  it('add each tick once, however many look at the same moment', async () => {
    await using lab = await postgresLab('2026-03-29T00:00:00.500Z')
    const processes = Array.from({ length: 6 }, () => lab.scheduler())
    const declared = Array.from({ length: 45 }, (_, i) =>
      defineSchedule({ name: `s${i}`, job, payload: { n: i }, every: '1s' }),
    )
    await Promise.all(processes.map((each) => each.declare(declared)))
    for (let second = 1; second <= 5; second++) {
      await lab.clock.advance(1000)
      let added = 0
      // Whoever finds the lock taken goes away, and 20 are added at a time.
      for (let i = 0; i < 50 && added < 45; i++)
        added += (await Promise.all(processes.map((each) => each.round()))).reduce((sum, n) => sum + n, 0)
      expect(added).toBe(45)
    }
    for (const { name } of declared)
      expect(await lab.ticks(name)).toEqual(rhythm('2026-03-29T00:00:01Z', '2026-03-29T00:00:06Z', 1000))
  })

  it('lose no tick and add none twice when every other addition fails', async () => {
    let calls = 0
    await using lab = await postgresLab('2026-03-29T00:00:00.500Z', () => calls++ % 2 === 0)
    const processes = [lab.scheduler(), lab.scheduler()]
    await processes[0]!.declare([defineSchedule({ name: 'a', job, payload: { n: 1 }, every: '1m', catchUp: 'all' })])
    await live(lab, processes, Date.parse('2026-03-29T00:30:30Z'), 20_000)
    await lab.clock.advance(61_000)
    for (let i = 0; i < 4; i++) {
      await lab.clock.advance(61_000)
      await processes[0]!.round()
    }
    const ticks = await lab.ticks('a')
    expect(ticks).toEqual(rhythm('2026-03-29T00:01:00Z', ticks.at(-1)!.replace(':00.000Z', ':01.000Z'), minuteMs))
    expect(ticks.length).toBeGreaterThan(25)
  })

  it('go by the time of the database, whatever their machines think', async () => {
    await using lab = await postgresLab('2026-03-29T00:00:00Z')
    const skewed = [-7_200_000, 0, 7_200_000].map((skewMs) => {
      const clock = { ...lab.clock, now: () => Date.now() + skewMs }
      return createScheduler({ driver: postgres({ db: lab.db }), db: lab.db, clock })
    })
    const declared = [defineSchedule({ name: 'a', job, payload: { n: 1 }, every: '28d', catchUp: 'all' })]
    for (const each of skewed) await each.declare(declared)
    const { rows } = await lab.db.query<{ next: Date }>(
      `select to_timestamp((floor(extract(epoch from now()) / 2419200) + 1) * 2419200) as next`,
    )
    for (const { schedules } of skewed) expect((await schedules.get('a'))!.nextAt).toEqual(rows[0]!.next)
    for (const each of skewed) expect(await each.round()).toBe(0)
    // The database's hour strikes. It is one of weeks: none of its own strikes while a test runs.
    await lab.db.query(
      `update forge_jobs_schedules set next_at = next_at - interval '28 days', wake_at = next_at - interval '28 days'`,
    )
    const added = await Promise.all(skewed.map((each) => each.round()))
    expect(added.toSorted()).toEqual([0, 0, 1])
    expect(await lab.ticks('a')).toEqual([new Date(rows[0]!.next.getTime() - 28 * 86_400_000).toISOString()])
  })
})

describe('in the transaction of the caller', () => {
  it('schedules come, change and go with its commit, and never without it', async () => {
    await using lab = await postgresLab('2026-03-29T00:00:30Z')
    const { schedules } = lab.scheduler()
    const a = defineSchedule({ name: 'a', job, payload: { n: 1 }, every: '1m' })
    const undo = new Error('undo')
    await lab.db
      .tx(async (tx) => {
        await schedules.create(a, tx)
        throw undo
      })
      .catch((error: unknown) => expect(error).toBe(undo))
    expect(await schedules.get('a')).toBeUndefined()
    await lab.db.tx((tx) => schedules.create(a, tx))
    await lab.db
      .tx(async (tx) => {
        await schedules.pause('a', tx)
        await schedules.trigger('a', tx)
        throw undo
      })
      .catch((error: unknown) => expect(error).toBe(undo))
    expect((await schedules.get('a'))!.state).toBe('active')
    expect(await lab.ticks('a')).toEqual([])
    await lab.db.tx((tx) => schedules.remove('a', tx))
    expect(await schedules.get('a')).toBeUndefined()
  })

  // One connection has nobody to wait for.
  it('a tick is not held up by a schedule that somebody is changing', async () => {
    // Its one connection has nobody to race.
    if (isPglite()) return
    await using lab = await postgresLab('2026-03-29T00:00:30Z')
    const one = lab.scheduler()
    for (const name of ['a', 'b'])
      await one.schedules.create(defineSchedule({ name, job, payload: { n: 1 }, every: '1m' }))
    await lab.clock.advance(minuteMs)
    await lab.db.tx(async (tx) => {
      await one.schedules.update('a', { description: 'held' }, tx)
      expect(await one.round()).toBe(1)
    })
    expect(await one.round()).toBe(1)
  })

  it('is refused where schedules lie in memory', async () => {
    await using lab = await memoryLab('2026-03-29T00:00:30Z')
    const { schedules } = lab.scheduler()
    const create = schedules.create(defineSchedule({ name: 'a', job, payload: { n: 1 }, every: '1m' }), {} as never)
    await expect(create).rejects.toMatchObject({ code: 'jobs.tx_unsupported' })
  })
})

describe('a scheduler that runs by itself', () => {
  it('adds each tick at its time, and hears of new schedules at once', async () => {
    await using lab = await memoryLab('2026-03-28T23:59:59.900Z')
    const one = lab.scheduler()
    await one.declare([
      defineSchedule({ name: 'm', job, payload: { n: 1 }, cron: '* * * * *', timeZone: 'Europe/Berlin' }),
      defineSchedule({ name: 'f', job, payload: { n: 1 }, cron: '30 2 * * *', timeZone: 'Europe/Berlin' }),
    ])
    await one.start()
    await lab.clock.advance(100)
    expect(await lab.ticks('m')).toEqual(['2026-03-29T00:00:00.000Z'])
    await one.schedules.create(defineSchedule({ name: 's', job, payload: { n: 1 }, every: '1s' }))
    await lab.clock.advance(1000)
    expect(await lab.ticks('s')).toHaveLength(1)
    await one.schedules.pause('s')
    await lab.clock.advance(2 * 3_600_000)
    expect(await lab.ticks('m')).toEqual(rhythm('2026-03-29T00:00:00Z', '2026-03-29T02:00:02Z', minuteMs))
    expect(await lab.ticks('f')).toEqual(['2026-03-29T01:00:00.000Z'])
    await one.stop()
    await lab.clock.advance(3_600_000)
    expect(await lab.ticks('m')).toHaveLength(121)
    expect(lab.clock.pending).toBe(0)
  })

  it('leads alone, also when nobody has ever met another one at the lock', async () => {
    await using lab = await memoryLab('2026-03-29T00:00:00.500Z')
    const processes = [lab.scheduler(), lab.scheduler(), lab.scheduler()]
    await processes[0]!.declare([defineSchedule({ name: 'a', job, payload: { n: 1 }, every: '1s' })])
    for (const each of processes) await each.start()
    await lab.clock.advance(1700)
    const leaders = (): Scheduler[] => processes.filter(({ leading }) => leading)
    expect(leaders()).toHaveLength(1)
    const [first] = leaders()
    await lab.clock.advance(20_000)
    expect(leaders()).toEqual([first])
    await first!.stop()
    await lab.clock.advance(5000)
    expect(leaders().filter((each) => each !== first)).toHaveLength(1)
    expect(await lab.ticks('a')).toEqual(rhythm('2026-03-29T00:00:01Z', '2026-03-29T00:00:28Z', 1000))
    for (const each of processes) await each.stop()
  })
})
