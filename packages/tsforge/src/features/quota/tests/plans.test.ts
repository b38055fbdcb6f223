import { describe, expect, it } from 'vitest'
import { createPlanBook, definePlan } from '../plans.ts'
import type { PlanSpec } from '../plans.ts'
import { free, pro } from './setup.ts'

const fault = (make: () => unknown): unknown => {
  try {
    make()
  } catch (error) {
    return (error as { meta: { faults: string } }).meta.faults
  }
  return undefined
}
const planWith = (quotas: PlanSpec['quotas'], name = 'basic') => fault(() => definePlan({ name, quotas }))

describe('a plan', () => {
  it('is refused with every fault it has', () => {
    expect(planWith({}, 'Not A Name')).toContain('"Not A Name" is no name for a plan')
    expect(planWith({ 'Bad Name': [{ limit: 1, per: 'day' }] })).toContain('"Bad Name" of plan "basic" is no name')
    for (const limit of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])
      expect(planWith({ x: [{ limit, per: 'day' }] })).toContain(`has the limit ${limit}`)
    expect(planWith({ x: [{ limit: 1, per: 'fortnight' as 'day' }] })).toContain('per "fortnight"')
    expect(planWith({ x: [{ limit: 1, per: 'day', tellAt: [101] }] })).toContain('no percent')
    expect(
      planWith({
        x: [
          { limit: 1, per: 'day' },
          { limit: 2, per: 'day' },
        ],
      }),
    ).toContain('two limits for the same window')
    expect(planWith({ x: [] })).toContain('no limit for the whole tenant')
    expect(planWith({ x: [{ limit: 1, per: 'day', each: 'api_key' }] })).toContain('no limit for the whole tenant')
    expect(fault(() => definePlan({ name: 'a', quotas: {}, rates: { burst: { limit: 0, window: '1m' } } }))).toContain(
      'rate "burst"',
    )
  })

  it('names the same quotas as all others, so that a misspelt one is found at boot', () => {
    const misspelt = definePlan({ name: 'gold', quotas: { 'api.request': [{ limit: 1, per: 'day' }] } })
    const text = fault(() => createPlanBook([free, misspelt], 'free'))
    expect(text).toContain('plan "gold" does not say "api.requests"')
    expect(text).toContain('plan "free" does not say "api.request"')
  })

  it('must be there when it is the default, and be the only one of its name', () => {
    expect(fault(() => createPlanBook([free, pro], 'fre'))).toContain('the default plan "fre" is not declared')
    expect(fault(() => createPlanBook([free, free], 'free'))).toContain('the same name')
    expect(fault(() => createPlanBook([], 'free'))).toContain('there is no plan')
  })
})
