import { afterAll, beforeAll } from 'vitest'
import { dbContract } from '../contract.ts'
import { postgres } from '../drivers/postgres.ts'
import { testServer } from './servers.ts'
import type { TestServer } from './servers.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer('contract')
}, 60_000)
afterAll(() => server.close())

dbContract({ name: 'postgres', create: () => postgres({ url: server.url }) })
dbContract({
  name: 'postgres without prepared statements',
  create: () => postgres({ url: server.url, directUrl: server.url, preparedStatements: 'off' }),
})
dbContract({
  name: 'postgres on one connection with one kept statement',
  create: () => postgres({ url: server.url, max: 2, preparedLimit: 1 }),
})

// Only where such a pooler is given: PgBouncer in transaction mode, leading to the database of FORGE_TEST_POSTGRES_URL.
const pooler = process.env['FORGE_TEST_PGBOUNCER_URL']
const direct = process.env['FORGE_TEST_POSTGRES_URL']
if (pooler !== undefined) {
  dbContract({
    name: 'postgres behind PgBouncer',
    create: () => postgres({ url: pooler, directUrl: direct, preparedStatements: 'off' }),
  })
}
