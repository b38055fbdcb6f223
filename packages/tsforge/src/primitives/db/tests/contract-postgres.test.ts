import { afterAll, beforeAll } from 'vitest'
import { dbContract } from '../contract.ts'
import { postgres } from '../drivers/postgres.ts'
import { testServer } from './servers.ts'
import type { TestServer } from './servers.ts'

// Many wait for a connection at once, on a machine that may be busy.
const patient = { poolWaitMs: 60_000, lockTimeoutMs: 60_000 }

let server: TestServer
beforeAll(async () => {
  server = await testServer('contract')
}, 180_000)
afterAll(() => server.close())

dbContract({ name: 'postgres', create: () => postgres({ url: server.url, ...patient }) })
dbContract({
  name: 'postgres without prepared statements',
  create: () => postgres({ url: server.url, directUrl: server.url, preparedStatements: 'off', ...patient }),
})
dbContract({
  name: 'postgres on one connection with one kept statement',
  create: () => postgres({ url: server.url, max: 2, preparedLimit: 1, ...patient }),
})

// Only where such a pooler is given: PgBouncer in transaction mode, leading to the database of FORGE_TEST_POSTGRES_URL.
const pooler = process.env['FORGE_TEST_PGBOUNCER_URL']
const direct = process.env['FORGE_TEST_POSTGRES_URL']
if (pooler !== undefined) {
  dbContract({
    name: 'postgres behind PgBouncer',
    create: () => postgres({ url: pooler, directUrl: direct, preparedStatements: 'off', ...patient }),
  })
}
