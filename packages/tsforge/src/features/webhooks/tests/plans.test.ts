import { expect, it } from 'vitest'
import type { Queryable } from '../../../primitives/db/index.ts'
import { selectStale } from '../deliveries/again.ts'
import * as repository from '../deliveries/repository.ts'
import type { Work } from '../deliveries/repository.ts'
import { customer, endpoint, ownerOf, tenantOf, webhookApp } from './setup.ts'

it('what happens at each attempt reads no row for each delivery that waits', async () => {
  await using shop = await customer()
  await using app = await webhookApp([shop])
  const ada = await ownerOf(app)
  const { id: endpointId } = await endpoint(ada, shop)
  await app.db.query(
    `with rows as (select gen_random_uuid() as id, n from generate_series(1, 20000) n),
       sent as (insert into forge_webhooks_messages (id, tenant_id, event_id, type, body, created_at)
         select id, $1, 'e' || n, 'order.placed', '{}', now() from rows)
     insert into forge_webhooks_deliveries (id, tenant_id, endpoint_id, message_id, format, state, next_at, created_at)
     select id, $1, $2, id, 'standard', case when n % 2 = 0 then 'pending' else 'succeeded' end, now(), now() from rows`,
    [await tenantOf(ada), endpointId],
  )
  await app.db.query('analyze forge_webhooks_deliveries')
  const now = new Date(app.clock.now())
  const { rows } = await app.db.query<{ id: string; seq: string }>(
    'select id, seq::text as seq from forge_webhooks_deliveries order by seq desc limit 1',
  )
  const work = { ...rows[0]!, endpointId } as Work

  let read = 0
  const counted: Queryable = {
    async query(text, values) {
      const { rows: plan } = await app.db.query<{ 'QUERY PLAN': string }>(
        `explain (analyze, timing off) ${text}`,
        values,
      )
      for (const { 'QUERY PLAN': line } of plan) {
        const [, found] = /(?:Scan|Limit).* \(actual rows=(\d+)/.exec(line) ?? []
        const [, removed] = /Rows Removed by (?:Filter|Index Recheck): (\d+)/.exec(line) ?? []
        read += Math.round(Number(found ?? 0)) + Number(removed ?? 0)
      }
      return { rows: [], rowCount: 0 } as never
    },
  }
  const rowsOf = async (work: () => Promise<unknown>): Promise<number> => {
    read = 0
    await work().catch(() => undefined)
    return read
  }
  expect(await rowsOf(() => repository.countLeased(counted, work, now)), 'places').toBeLessThan(50)
  expect(await rowsOf(() => repository.callWaiting(counted, endpointId, 10)), 'calls').toBeLessThan(50)
  expect(await rowsOf(() => repository.selectOlder(counted, work, now)), 'turns').toBeLessThan(50)
  expect(await rowsOf(() => repository.countPending(counted, endpointId)), 'crowd').toBeLessThan(5000)
  // The sweep reads those that are pending, and none that is over.
  const sweep = await rowsOf(() => selectStale(counted, new Date(0), 500, undefined))
  expect(sweep, 'sweep').toBeGreaterThan(0)
  expect(sweep, 'sweep').toBeLessThan(15_000)
})
