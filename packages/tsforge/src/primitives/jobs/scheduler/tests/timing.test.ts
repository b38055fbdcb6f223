import { describe, expect, it } from 'vitest'
import { previewRuns } from '../preview.ts'
import { timingOf } from '../schedule.ts'
import { ticksOf } from '../timing.ts'
import type { Timing } from '../timing.ts'

const cron = (expression: string, timeZone = 'UTC'): Timing => timingOf({ cron: expression, timeZone })

/** All ticks from `from` up to `to` on the wall clock of the zone. */
function wall(timing: Timing, from: string, to: string): string[] {
  const toMs = Date.parse(to)
  const texts: string[] = []
  for (const { at, local } of previewRuns(timing, Date.parse(from) - 1, 100)) if (at.getTime() < toMs) texts.push(local)
  return texts
}

/** All ticks of a day as the zone has it. */
function onDay(timing: Timing, day: string): string[] {
  const noon = Date.parse(`${day}T12:00Z`)
  return wall(timing, new Date(noon - 86_400_000).toISOString(), new Date(noon + 86_400_000).toISOString()).filter(
    (text) => text.startsWith(day),
  )
}

describe('a moment of the day', () => {
  it.each([
    // The hour from 02:00 to 03:00 is missing.
    ['Europe/Berlin', '30 2 * * *', '2026-03-29', ['2026-03-29T03:00:00+02:00']],
    ['Europe/Berlin', '15,45 2 * * *', '2026-03-29', ['2026-03-29T03:00:00+02:00']],
    ['Europe/Berlin', '30 2,3 * * *', '2026-03-29', ['2026-03-29T03:00:00+02:00', '2026-03-29T03:30:00+02:00']],
    ['Europe/Berlin', '0 2-3 * * *', '2026-03-29', ['2026-03-29T03:00:00+02:00']],
    ['America/New_York', '30 2 * * *', '2026-03-08', ['2026-03-08T03:00:00-04:00']],
    ['America/New_York', '0 12 * * SUN', '2026-03-08', ['2026-03-08T12:00:00-04:00']],
    // Half an hour is missing from 02:00.
    ['Australia/Lord_Howe', '15 2 * * *', '2026-10-04', ['2026-10-04T02:30:00+11:00']],
    ['Australia/Lord_Howe', '45 2 * * *', '2026-10-04', ['2026-10-04T02:45:00+11:00']],
    // Midnight is missing.
    ['Africa/Cairo', '0 0 * * *', '2026-04-24', ['2026-04-24T01:00:00+03:00']],
    ['UTC', '30 2 * * *', '2026-03-29', ['2026-03-29T02:30:00+00:00']],
  ])('that the clock leaves out runs when the gap is over: %s %s', (zone, expression, day, expected) => {
    expect(onDay(cron(expression, zone), day)).toEqual(expected)
  })

  it.each([
    // The hour from 02:00 to 03:00 comes twice.
    ['Europe/Berlin', '30 2 * * *', '2026-10-25', ['2026-10-25T02:30:00+02:00']],
    ['Europe/Berlin', '0,30 2 * * *', '2026-10-25', ['2026-10-25T02:00:00+02:00', '2026-10-25T02:30:00+02:00']],
    ['Europe/Berlin', '0 3 * * *', '2026-10-25', ['2026-10-25T03:00:00+01:00']],
    ['America/New_York', '30 1 * * *', '2026-11-01', ['2026-11-01T01:30:00-04:00']],
    // Half an hour comes twice from 01:30.
    ['Australia/Lord_Howe', '45 1 * * *', '2026-04-05', ['2026-04-05T01:45:00+11:00']],
    ['Australia/Lord_Howe', '0 2 * * *', '2026-04-05', ['2026-04-05T02:00:00+10:30']],
    ['UTC', '30 2 * * *', '2026-10-25', ['2026-10-25T02:30:00+00:00']],
  ])('that comes twice runs once: %s %s', (zone, expression, day, expected) => {
    expect(onDay(cron(expression, zone), day)).toEqual(expected)
  })
})

describe('a rhythm', () => {
  it('goes on through a change of the clock, whichever way it goes', () => {
    const berlin = cron('*/30 * * * *', 'Europe/Berlin')
    expect(wall(berlin, '2026-03-29T00:00Z', '2026-03-29T02:00Z')).toEqual([
      '2026-03-29T01:00:00+01:00',
      '2026-03-29T01:30:00+01:00',
      '2026-03-29T03:00:00+02:00',
      '2026-03-29T03:30:00+02:00',
    ])
    expect(wall(berlin, '2026-10-25T00:00Z', '2026-10-25T02:00Z')).toEqual([
      '2026-10-25T02:00:00+02:00',
      '2026-10-25T02:30:00+02:00',
      '2026-10-25T02:00:00+01:00',
      '2026-10-25T02:30:00+01:00',
    ])
  })

  it.each([
    ['Europe/Berlin', '2026-03-28', '2026-10-24'],
    ['America/New_York', '2026-03-07', '2026-10-31'],
    ['Australia/Lord_Howe', '2026-10-03', '2026-04-04'],
    ['UTC', '2026-03-28', '2026-12-31'],
  ])('of every minute has a tick in every minute around a change of the clock in %s', (zone, ...days) => {
    const ticks = ticksOf(cron('* * * * *', zone))
    for (const day of days) {
      let at = Date.parse(`${day}T12:00Z`)
      for (let minute = 1; minute <= 1440; minute++) {
        const next = ticks.after(at)
        expect(next).toBe(at + 60_000)
        at = next
      }
    }
  })

  it('runs nothing in a gap when it is bound to the hour that is missing', () => {
    expect(wall(cron('*/30 2 * * *', 'Europe/Berlin'), '2026-03-29T00:00Z', '2026-03-29T12:00Z')).toEqual([])
  })
})

describe('ticks', () => {
  // With the days on which their clocks change.
  const zones = [
    ['Europe/Berlin', '2026-03-29', '2026-10-25'],
    ['America/New_York', '2026-03-08', '2026-11-01'],
    ['Australia/Lord_Howe', '2026-04-05', '2026-10-04'],
    ['Africa/Cairo', '2026-04-24', '2026-10-30'],
    ['Asia/Kathmandu', '2026-03-29', '2026-10-25'],
    ['UTC', '2026-03-29', '2026-10-25'],
  ] as const
  // With the days to look at before and after them: the more ticks, the fewer.
  const expressions = [
    ['30 2 * * *', 20],
    ['*/20 * * * *', 2],
    ['0 */3 * * *', 4],
    ['15,45 1-3 * * *', 4],
    ['0 0 L * *', 35],
    ['0 2 * * SUN#1', 35],
    ['5 1 15W * *', 35],
  ] as const
  const cases = zones.flatMap(([zone, ...changes]) =>
    expressions.map(([expression, days]) => [expression, zone, changes, days] as const),
  )

  it.each(cases)('are the same looked at forwards and backwards: %s %s', (expression, zone, changes, days) => {
    const ticks = ticksOf(cron(expression, zone))
    for (const change of changes) {
      const [fromMs, toMs] = [-days, days + 1].map((away) => Date.parse(change) + away * 86_400_000) as [number, number]
      const forwards: number[] = []
      for (let at = ticks.after(fromMs - 1); at <= toMs; at = ticks.after(at)) forwards.push(at)
      expect(ticks.last(fromMs, toMs, 10_000)).toEqual(forwards)
      expect(ticks.last(fromMs, toMs, 3)).toEqual(forwards.slice(-3))
      // In the middle of a second, and at a tick itself.
      const tick = forwards[Math.floor(forwards.length / 2)]!
      expect(ticks.last(fromMs, tick, 1)).toEqual([tick])
      expect(ticks.last(fromMs, tick + 999, 1)).toEqual([tick])
      expect(ticks.last(fromMs, tick - 1, 1)).not.toEqual([tick])
      expect(ticks.after(tick - 1)).toBe(tick)
      expect(ticks.after(tick)).toBeGreaterThan(tick)
    }
  })

  it('of an interval lie on its anchor, whenever somebody looks', () => {
    const timing = timingOf({ every: '7m', anchor: new Date('2026-03-29T00:01:00+00:00') })
    const ticks = ticksOf(timing)
    const anchor = Date.parse('2026-03-29T00:01:00+00:00')
    expect(ticks.after(anchor - 86_400_000)).toBe(anchor)
    expect(ticks.after(anchor)).toBe(anchor + 420_000)
    expect(ticks.after(anchor + 419_999.5)).toBe(anchor + 420_000)
    expect(ticks.after(anchor + 420_000 * 1e6 + 1)).toBe(anchor + 420_000 * (1e6 + 1))
    expect(ticks.last(anchor - 1e9, anchor + 420_000, 10)).toEqual([anchor, anchor + 420_000])
    expect(ticks.last(anchor + 1, anchor + 2, 10)).toEqual([])
    expect(ticks.last(anchor - 10, anchor - 5, 10)).toEqual([])
    expect(previewRuns(timingOf({ every: '15m' }), anchor, 2).map(({ local }) => local)).toEqual([
      '2026-03-29T00:15:00+00:00',
      '2026-03-29T00:30:00+00:00',
    ])
  })

  it.each([
    ['0 0 * * 7', '2026-11-29T00:00:00+00:00'],
    ['0 0 * * SUN', '2026-11-29T00:00:00+00:00'],
    ['0 0 LW * *', '2026-11-30T00:00:00+00:00'],
    ['0 0 * JAN *', '2027-01-01T00:00:00+00:00'],
    ['30 0 0 1 1 ?', '2027-01-01T00:00:30+00:00'],
    ['0 0 13 * +FRI', '2027-08-13T00:00:00+00:00'],
    ['0 0 * * FRI#2', '2026-12-11T00:00:00+00:00'],
    ['@monthly', '2026-12-01T00:00:00+00:00'],
    ['0 0 29 2 *', '2028-02-29T00:00:00+00:00'],
    ['  0  12 * * * ', '2026-11-23T12:00:00+00:00'],
  ])('%s comes next at %s', (expression, expected) => {
    expect(previewRuns(cron(expression), Date.parse('2026-11-23T07:00Z'), 1)[0]!.local).toBe(expected)
  })
})

describe('refused with jobs.schedule_invalid is', () => {
  it.each([
    [{ cron: '' }],
    [{ cron: '* * * *' }],
    [{ cron: '* * * * * * *' }],
    [{ cron: '60 * * * *' }],
    [{ cron: '*/0 * * * *' }],
    [{ cron: '5-1 * * * *' }],
    [{ cron: '-1 * * * *' }],
    [{ cron: '@reboot' }],
    [{ cron: '2026-05-01T00:00:00' }],
    [{ cron: '2026-05-01' }],
    [{ cron: '0 0 30 2 *' }],
    [{ cron: '0 0 31 2,4,6,9,11 *' }],
    [{ cron: '0 0 30 2 +MON' }],
    [{ cron: '0 0 * * MON#6' }],
    [{ cron: '* * * * *\n* * * * *' }],
    [{ cron: '* * * * *; drop table x' }],
    [{ cron: '١ * * * *' }],
    [{ cron: `${'1,'.repeat(200)}1 * * * *` }],
    [{ cron: 'a'.repeat(1_000_000) }],
    [{ cron: '__proto__ * * * *' }],
    [{ cron: '* * * * *', timeZone: 'Nope/Zone' }],
    [{ cron: '* * * * *', timeZone: '' }],
    [{ cron: '* * * * *', timeZone: '../../etc/passwd' }],
    [{ cron: '* * * * *', timeZone: 'x'.repeat(1_000_000) }],
    [{ cron: '* * * * *', timeZone: "UTC'; select 1" }],
    [{ cron: '* * * * *', every: '1m' }],
    [{ cron: '* * * * *', anchor: new Date(0) }],
    [{}],
    [{ every: '999ms' }],
    [{ every: '400d' }],
    [{ every: 1500.5 }],
    [{ every: Number.NaN }],
    [{ every: 'soon' }],
    [{ every: '1m', anchor: new Date(Number.NaN) }],
    [{ every: '1m', timeZone: 'Mars/Base' }],
    [{ cron: 5 }],
    [{ cron: '* * * * *', timeZone: 5 }],
  ])('%j', (timing) => {
    const began = process.threadCpuUsage()
    expect(() => timingOf(timing as never)).toThrow(
      expect.objectContaining({ code: 'jobs.schedule_invalid', status: 422 }),
    )
    // Nobody's request is held up by a search for a day that never comes.
    // Of this thread's own work: a busy machine does not count.
    expect(process.threadCpuUsage(began).user).toBeLessThan(5_000_000)
  })
})
