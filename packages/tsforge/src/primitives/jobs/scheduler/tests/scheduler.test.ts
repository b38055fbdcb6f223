import { describe, expect, it } from 'vitest'
import { defineJob } from '../../define-job.ts'
import { scheduleFailed, scheduleFired, scheduleSkipped } from '../events.ts'
import type { ScheduleFired, ScheduleSkipped } from '../events.ts'
import { defineSchedule } from '../schedule.ts'
import type { Schedule, ScheduleSpec } from '../schedule.ts'
import { job, memoryLab, postgresLab } from './lab.ts'
import type { Lab, Room } from './lab.ts'

const start = '2026-03-28T23:59:30.250Z'

function schedule(
  name: string,
  spec: Partial<ScheduleSpec<{ readonly n: number }> & { readonly payload: { readonly n: number } }>,
): Schedule {
  return defineSchedule({ name, job, payload: { n: 1 }, ...spec })
}

const code = (error: unknown): unknown => (error as { code: unknown }).code
const fails = (work: Promise<unknown>): Promise<unknown> => work.then(() => 'nothing', code)

describe.each([
  ['memory', memoryLab],
  ['postgres', postgresLab],
] as const)('schedules in %s', (_, open: (now: string, room?: Room) => Promise<Lab>) => {
  it('add a job for each tick, which is its time, with the payload and a tag', async () => {
    await using lab = await open(start)
    const one = lab.scheduler()
    await one.declare([
      schedule('a', { cron: '* * * * *', options: { priority: 1, tags: ['x'], maxAttempts: 3 } }),
      schedule('b', { every: '45s' }),
    ])
    expect(await one.round()).toBe(0)
    await lab.clock.advance(30_000)
    expect(await one.round()).toBe(2)
    expect(await one.round()).toBe(0)
    const [found] = await lab.driver.list({ filter: { tag: 'schedule:a' }, limit: 10 })
    expect(found).toMatchObject({
      kind: 'rollup',
      queue: 'q',
      payload: { n: 1 },
      priority: 1,
      maxAttempts: 3,
      tags: ['x', 'schedule:a'],
      runAt: new Date('2026-03-29T00:00:00Z'),
    })
    expect(await one.schedules.get('a')).toMatchObject({
      state: 'active',
      origin: 'app',
      kind: 'rollup',
      queue: 'q',
      payload: { n: 1 },
      lastAt: new Date('2026-03-29T00:00:00Z'),
      lastJob: found!.id,
      nextAt: new Date('2026-03-29T00:01:00Z'),
      ticks: 1,
    })
  })

  it('keep the next tick over a restart, and catch up what the stop has missed', async () => {
    await using lab = await open(start)
    const declared = (): Schedule[] =>
      (['skip', 'one', 'all'] as const).map((catchUp) => schedule(catchUp, { every: '10m', catchUp, catchUpLimit: 3 }))
    await lab.scheduler().declare(declared())
    await lab.clock.advance(3_600_000)
    const second = lab.scheduler()
    await second.declare(declared())
    const skipped: ScheduleSkipped[] = []
    const listener = (message: unknown): void => void skipped.push(message as ScheduleSkipped)
    scheduleSkipped.subscribe(listener)
    await second.round()
    scheduleSkipped.unsubscribe(listener)
    expect(await lab.ticks('skip')).toEqual([])
    expect(await lab.ticks('one')).toEqual(['2026-03-29T00:50:00.000Z'])
    expect(await lab.ticks('all')).toEqual([
      '2026-03-29T00:30:00.000Z',
      '2026-03-29T00:40:00.000Z',
      '2026-03-29T00:50:00.000Z',
    ])
    expect(skipped.map(({ schedule: name, from, until }) => [name, from.toISOString(), until.toISOString()])).toEqual([
      ['all', '2026-03-29T00:00:00.000Z', '2026-03-29T00:30:00.000Z'],
      ['one', '2026-03-29T00:00:00.000Z', '2026-03-29T00:50:00.000Z'],
      ['skip', '2026-03-29T00:00:00.000Z', '2026-03-29T00:59:30.250Z'],
    ])
  })

  it('count from now when their timing has changed', async () => {
    await using lab = await open(start)
    const one = lab.scheduler()
    await one.declare([schedule('a', { every: '10m' }), schedule('b', { every: '10m' })])
    await lab.clock.advance(3_600_000)
    await one.declare([
      schedule('a', { every: '20m', catchUp: 'all' }),
      schedule('b', { every: '10m', payload: { n: 2 } }),
    ])
    await one.round()
    expect(await lab.ticks('a')).toEqual([])
    expect((await one.schedules.get('a'))!.nextAt).toEqual(new Date('2026-03-29T01:00:00Z'))
    // A new payload does not make it forget what it has missed.
    expect(await lab.ticks('b')).toHaveLength(1)
    expect((await one.schedules.get('b'))!.payload).toEqual({ n: 2 })
  })

  it('retire when the code declares them no more, and come back without making good for that time', async () => {
    await using lab = await open(start)
    const one = lab.scheduler()
    const [a, b] = [schedule('a', { every: '1m', catchUp: 'all' }), schedule('b', { every: '1m' })]
    await one.schedules.create(schedule('mine', { every: '1m' }))
    await lab.scheduler({ origin: 'other' }).declare([schedule('theirs', { every: '1m' })])
    await one.declare([a, b])
    expect(await one.declare([b])).toEqual(['a'])
    expect(await one.declare([b])).toEqual([])
    await lab.clock.advance(60_000)
    await one.round()
    expect(await lab.ticks('a')).toEqual([])
    for (const name of ['b', 'mine', 'theirs']) expect(await lab.ticks(name)).toHaveLength(1)
    expect(await one.schedules.get('a')).toMatchObject({ state: 'retired', nextAt: undefined })
    await lab.clock.advance(600_000)
    await one.declare([a, b])
    await one.round()
    expect(await lab.ticks('a')).toEqual([])
    await lab.clock.advance(60_000)
    await one.round()
    expect(await lab.ticks('a')).toHaveLength(1)
    // What has retired can be removed; what is declared cannot.
    expect(await fails(one.schedules.remove('a'))).toBe('jobs.schedule_declared')
    await one.declare([b])
    await one.schedules.remove('a')
    expect(await one.schedules.get('a')).toBeUndefined()
  })

  it('pause over a restart, and go on with the next tick', async () => {
    await using lab = await open(start)
    const one = lab.scheduler()
    const a = schedule('a', { every: '1m', catchUp: 'all' })
    await one.declare([a])
    expect((await one.schedules.pause('a')).state).toBe('paused')
    await lab.clock.advance(600_000)
    await one.declare([a])
    expect(await one.round()).toBe(0)
    expect(await one.schedules.resume('a')).toMatchObject({ state: 'active', nextAt: new Date('2026-03-29T00:10:00Z') })
    expect(await one.round()).toBe(0)
    await lab.clock.advance(60_000)
    expect(await one.round()).toBe(1)
    expect((await one.schedules.resume('a')).state).toBe('active')
    // Enabled or not is for the code to say.
    await one.declare([schedule('a', { every: '1m', enabled: false })])
    await lab.clock.advance(60_000)
    expect(await one.round()).toBe(0)
    expect((await one.schedules.get('a'))!.state).toBe('disabled')
  })

  it('are made, changed, listed, tried and removed at run time', async () => {
    await using lab = await open(start)
    const { schedules, round } = lab.scheduler()
    expect(await schedules.create(schedule('m', { cron: '0 3 * * *', timeZone: 'Asia/Jakarta' }))).toMatchObject({
      origin: undefined,
      nextAt: new Date('2026-03-29T20:00:00Z'),
    })
    expect(await fails(schedules.create(schedule('m', { every: '1m' })))).toBe('jobs.schedule_exists')
    expect(
      await schedules.update('m', {
        timing: { every: '1m' },
        description: 'd',
        job: schedule('m', { every: '1m', payload: { n: 9 } }),
      }),
    ).toMatchObject({
      nextAt: new Date('2026-03-29T00:00:00Z'),
      payload: { n: 9 },
      description: 'd',
      catchUp: 'one',
    })
    expect((await schedules.update('m', { enabled: false })).state).toBe('disabled')
    expect((await schedules.update('m', { enabled: true })).description).toBe('d')
    expect(await fails(schedules.update('m', { timing: { cron: 'x' } }))).toBe('jobs.schedule_invalid')
    expect(await fails(schedules.update('m', { catchUpLimit: 0 }))).toBe('jobs.schedule_invalid')
    for (const name of ['nobody', '', "'", '\0', 'x'.repeat(10_000)]) {
      expect(await fails(schedules.update(name, {}))).toBe('jobs.schedule_unknown')
      expect(await fails(schedules.pause(name))).toBe('jobs.schedule_unknown')
      expect(await fails(schedules.resume(name))).toBe('jobs.schedule_unknown')
      expect(await fails(schedules.trigger(name))).toBe('jobs.schedule_unknown')
      expect(await fails(schedules.remove(name))).toBe('jobs.schedule_unknown')
      expect(await fails(schedules.preview(name))).toBe('jobs.schedule_unknown')
      expect(await schedules.get(name)).toBeUndefined()
    }
    for (const name of ['c', 'a', 'b']) await schedules.create(schedule(name, { every: '1h' }))
    const first = await schedules.list({ limit: 3 })
    expect(first.items.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    const second = await schedules.list({ limit: 3, after: first.next! })
    expect(second.items.map(({ name }) => name)).toEqual(['m'])
    expect(second.next).toBeUndefined()
    const { id } = await schedules.trigger('a')
    expect(await lab.driver.get(id!)).toMatchObject({ kind: 'rollup', state: 'ready', tags: ['schedule:a'] })
    await schedules.remove('a')
    await lab.clock.advance(3_600_000)
    await round()
    expect(await lab.ticks('a')).toHaveLength(1)
    expect(await lab.ticks('b')).toHaveLength(1)
  })

  it('tell their next runs by the time of the store, with the zone', async () => {
    await using lab = await open(start)
    const { schedules } = lab.scheduler()
    await schedules.create(schedule('p', { cron: '30 2 * * *', timeZone: 'Europe/Berlin' }))
    expect((await schedules.preview('p', { count: 2 })).map(({ at, local }) => [at.toISOString(), local])).toEqual([
      ['2026-03-29T01:00:00.000Z', '2026-03-29T03:00:00+02:00'],
      ['2026-03-30T00:30:00.000Z', '2026-03-30T02:30:00+02:00'],
    ])
    expect(await schedules.preview(schedule('q', { every: '1s' }), { count: 1e9 })).toHaveLength(1000)
    expect(await schedules.preview('p', { count: Number.NaN, from: new Date('2027-01-01') })).toHaveLength(1)
  })

  it('refuse a payload that the job does not take, before anything is stored', async () => {
    await using lab = await open(start)
    const one = lab.scheduler({ payloadLimit: 100 })
    const strict = defineJob({ kind: 's', schema: { type: 'object', required: ['n'] } as never })
    expect(
      await fails(one.schedules.create(defineSchedule({ name: 's', job: strict, payload: {} as never, every: '1m' }))),
    ).toBe('jobs.payload_invalid')
    const large = defineJob<string>({ kind: 'l' })
    expect(
      await fails(
        one.declare([
          schedule('a', { every: '1m' }),
          defineSchedule({ name: 'l', job: large, payload: 'x'.repeat(200), every: '1m' }),
        ]),
      ),
    ).toBe('jobs.payload_too_large')
    expect((await one.schedules.list()).items).toEqual([])
  })

  it('leave a tick out while the job of the one before is open, if the job has a key', async () => {
    await using lab = await open(start)
    const one = lab.scheduler()
    await one.declare([schedule('d', { every: '1m', options: { dedupe: 'only one' } })])
    const seen: ScheduleFired[] = []
    const listener = (message: unknown): void => void seen.push(message as ScheduleFired)
    scheduleFired.subscribe(listener)
    for (let i = 0; i < 3; i++) {
      await lab.clock.advance(60_000)
      await one.round()
    }
    scheduleFired.unsubscribe(listener)
    expect(await lab.ticks('d')).toHaveLength(1)
    expect(seen.map(({ lagMs, job: id }) => [lagMs, id === undefined])).toEqual([
      [30_250, false],
      [30_250, true],
      [30_250, true],
    ])
    expect(await one.schedules.get('d')).toMatchObject({ ticks: 3, lastJob: seen[0]!.job })
  })

  it('outlive a jump of the clock, forwards and back', async () => {
    await using lab = await open(start)
    const one = lab.scheduler()
    await one.declare([schedule('j', { every: '1m', catchUp: 'one' })])
    lab.clock.jump(Date.parse('2026-03-29T02:00:30Z'))
    await one.round()
    lab.clock.jump(Date.parse('2026-03-29T00:00:30Z'))
    await one.round()
    expect(await lab.ticks('j')).toEqual(['2026-03-29T02:00:00.000Z'])
    lab.clock.jump(Date.parse('2026-03-29T02:01:00Z'))
    await one.round()
    expect(await lab.ticks('j')).toEqual(['2026-03-29T02:00:00.000Z', '2026-03-29T02:01:00.000Z'])
  })

  it('hold up no other when one of them cannot be added', async () => {
    let isFull = true
    await using lab = await open(start, (name) => !isFull || name !== 'broken')
    const one = lab.scheduler()
    await one.declare(['a', 'broken', 'c'].map((name) => schedule(name, { every: '1m', catchUp: 'all' })))
    const failed: unknown[] = []
    const listener = (message: unknown): void => void failed.push((message as { schedule: string }).schedule)
    scheduleFailed.subscribe(listener)
    await lab.clock.advance(30_000)
    expect(await one.round()).toBe(2)
    scheduleFailed.unsubscribe(listener)
    expect(failed).toEqual(['broken'])
    expect((await one.schedules.get('broken'))!.error).toMatch('no room')
    // The tick is not lost: it is added when there is room again.
    isFull = false
    await lab.clock.advance(90_000)
    await one.round()
    expect(await lab.ticks('broken')).toEqual(['2026-03-29T00:00:00.000Z', '2026-03-29T00:01:00.000Z'])
    expect((await one.schedules.get('broken'))!.error).toBeUndefined()
  })
})
