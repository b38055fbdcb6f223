import { describe, expect, it } from 'vitest'
import { planTicks } from '../plan.ts'
import type { Due } from '../plan.ts'
import { timingOf } from '../schedule.ts'
import type { ScheduleTiming } from '../schedule.ts'

const at = (text: string): number => Date.parse(`2026-03-29T${text}Z`)

function plan(
  timing: ScheduleTiming,
  catchUp: Due['catchUp'],
  next: string,
  now: string,
  catchUpLimit = 100,
): string[] {
  const { fire, nextMs } = planTicks({ timing: timingOf(timing), catchUp, catchUpLimit, nextMs: at(next) }, at(now))
  return [
    ...fire.map((ms) => new Date(ms).toISOString().slice(11, 19)),
    '|',
    new Date(nextMs).toISOString().slice(11, 19),
  ]
}

const minutely = { cron: '* * * * *' }

describe('a plan', () => {
  it('runs a tick that is due, and only that', () => {
    for (const policy of ['skip', 'one', 'all'] as const) {
      expect(plan(minutely, policy, '10:00:00', '10:00:00')).toEqual(['10:00:00', '|', '10:01:00'])
      expect(plan(minutely, policy, '10:00:00', '10:00:00.003')).toEqual(['10:00:00', '|', '10:01:00'])
      expect(plan(minutely, policy, '10:00:00', '09:59:59.999')).toEqual(['|', '10:00:00'])
    }
  })

  it('runs ticks that are late by less than a minute under every policy', () => {
    for (const policy of ['skip', 'one', 'all'] as const)
      expect(plan({ every: '10s' }, policy, '10:00:00', '10:00:35')).toEqual([
        '10:00:00',
        '10:00:10',
        '10:00:20',
        '10:00:30',
        '|',
        '10:00:40',
      ])
  })

  it('leaves out what was missed, makes good for it once, or runs all of it', () => {
    const hourly = { cron: '0 * * * *' }
    expect(plan(hourly, 'skip', '05:00:00', '08:30:00')).toEqual(['|', '09:00:00'])
    expect(plan(hourly, 'one', '05:00:00', '08:30:00')).toEqual(['08:00:00', '|', '09:00:00'])
    expect(plan(hourly, 'all', '05:00:00', '08:30:00')).toEqual([
      '05:00:00',
      '06:00:00',
      '07:00:00',
      '08:00:00',
      '|',
      '09:00:00',
    ])
    // The one that is due now is the one that makes good.
    expect(plan(hourly, 'one', '05:00:00', '08:00:10')).toEqual(['08:00:00', '|', '09:00:00'])
    expect(plan(hourly, 'skip', '05:00:00', '08:00:10')).toEqual(['08:00:00', '|', '09:00:00'])
  })

  it('tells from where on ticks are left out', () => {
    const due = { timing: timingOf(minutely), catchUpLimit: 2, nextMs: at('05:00:00') }
    expect(planTicks({ ...due, catchUp: 'all' }, at('05:04:30'))).toEqual({
      fire: [at('05:03:00'), at('05:04:00')],
      nextMs: at('05:05:00'),
      skippedFromMs: at('05:00:00'),
    })
    expect(planTicks({ ...due, catchUp: 'all' }, at('05:01:30')).skippedFromMs).toBeUndefined()
    expect(planTicks({ ...due, catchUp: 'skip' }, at('07:00:30')).skippedFromMs).toBe(at('05:00:00'))
  })

  it.each([
    ['cron', { cron: '* * * * * *' }],
    ['interval', { every: '1s' as const }],
  ])('after ten years of sleep is small and quickly made: %s', (_, timing) => {
    const began = process.threadCpuUsage()
    const now = Date.UTC(2036, 0)
    for (const [catchUp, most] of [
      ['all', 1000],
      ['one', 61],
      ['skip', 61],
    ] as const) {
      const { fire, nextMs } = planTicks(
        { timing: timingOf(timing), catchUp, catchUpLimit: 1000, nextMs: Date.UTC(2026, 0) },
        now,
      )
      expect(fire).toHaveLength(most)
      expect(fire.at(-1)).toBe(now)
      expect(nextMs).toBe(now + 1000)
    }
    // Of this thread's own work: a busy machine does not count.
    expect(process.threadCpuUsage(began).user).toBeLessThan(5_000_000)
  })
})
