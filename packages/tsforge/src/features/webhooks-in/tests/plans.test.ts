import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Queryable } from '../../../primitives/db/index.ts'
import { standard } from '../verifiers.ts'
import { expire, selectDeliveries } from '../delivery-repository.ts'
import { openLab } from './setup.ts'
import type { Lab } from './setup.ts'

const [small, large] = ['0192aaaa-0000-7000-8000-00000000000a', '0192aaaa-0000-7000-8000-00000000000b']
let lab: Lab
beforeAll(async () => {
  lab = await openLab([{ name: 'orders', verifier: standard(), secrets: [] }])
  // A year of one tenant, most of it emptied, and a few of another one before it.
  await lab.app.db.query(
    `insert into forge_webhooks_in_deliveries (id, source, tenant_id, delivery_id, event, signed_at, received_at, headers, body, state)
     select gen_random_uuid(), 'orders', case when n < 10 then $1::uuid else $2::uuid end, 'd' || n, 'order.placed', null,
       timestamptz '2025-01-01' + n * interval '20 minutes', '{}', case when n % 100 = 0 or n < 10 then 'x'::bytea end, 'handled'
     from generate_series(1, 20000) n`,
    [small, large],
  )
  await lab.app.db.query('analyze forge_webhooks_in_deliveries')
})
afterAll(() => lab?.[Symbol.asyncDispose]())

async function rowsOf(work: (db: Queryable) => Promise<unknown>): Promise<number> {
  let read = 0
  await work({
    async query(text, values) {
      const { rows } = await lab.app.db.query<{ 'QUERY PLAN': string }>(`explain (analyze, timing off) ${text}`, values)
      for (const { 'QUERY PLAN': line } of rows) {
        const [, found] = /Scan.* \(actual rows=(\d+)/.exec(line) ?? []
        const [, removed] = /Rows Removed by (?:Filter|Index Recheck): (\d+)/.exec(line) ?? []
        read += Number(found ?? 0) + Number(removed ?? 0)
      }
      return { rows: [], rowCount: 0 } as never
    },
  })
  return read
}

it('a tenant of few deliveries pages through its own', async () => {
  expect(await rowsOf((db) => selectDeliveries(db, { tenantId: small }, 51, undefined))).toBeLessThan(50)
  const last = 'ffffffff-ffff-7fff-bfff-ffffffffffff'
  const filter = { tenantId: small, source: 'orders', state: 'handled', event: 'order.placed' } as const
  expect(await rowsOf((db) => selectDeliveries(db, filter, 51, last))).toBeLessThan(50)
})

it('the sweep does not look again at what it has emptied', async () => {
  const [before, forget] = [new Date('2025-09-01'), new Date('2024-12-01')]
  expect(await rowsOf((db) => expire(db, before, forget, 500))).toBeLessThan(2000)
})
