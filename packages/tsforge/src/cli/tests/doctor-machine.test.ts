import { expect, it } from 'vitest'
import type { Plan } from '../../host/plan.ts'
import { trustedProxies } from '../doctor/machine.ts'
import { skew } from '../doctor/services.ts'

const planned = (environment: string, proxies: readonly string[]): Plan =>
  ({ app: { environment }, http: { trustedProxies: proxies } }) as unknown as Plan

it('forge doctor tells whose word on callers is taken, and warns in production when it is nobody’s', () => {
  expect(trustedProxies(planned('production', ['10.0.0.0/8']))).toMatchObject({
    state: 'ok',
    detail: expect.stringContaining('10.0.0.0/8'),
  })
  expect(trustedProxies(planned('development', []))).toMatchObject({ state: 'ok' })
  expect(trustedProxies(planned('production', []))).toMatchObject({
    state: 'warning',
    fix: expect.stringContaining('FORGE_HTTP_TRUSTED_PROXIES'),
  })
})

it('forge doctor tells clocks that differ from a database that took its time to answer', () => {
  expect(skew(30_000, 0, 60_000)).toMatchObject({ state: 'ok', detail: "0 ms from the database's" })
  expect(skew(1000, 2000, 60_000)).toMatchObject({ state: 'ok', detail: "1000 ms from the database's" })
  expect(skew(1000, 6001, 60_000)).toMatchObject({ state: 'warning', detail: "5001 ms from the database's" })
  expect(skew(65_001, 0, 60_000)).toMatchObject({ state: 'warning', detail: "-5001 ms from the database's" })
})
