import { setTimeout as sleep } from 'node:timers/promises'
import { startRedis } from '../../../testing/redis-server.ts'
import { testDb } from '../../../testing/db.ts'
import type { MigrationSource } from '../../../kernel/plugin.ts'
import { createRedis } from '../../redis/index.ts'
import type { RatelimitContractStore } from '../contract.ts'
import type { LeasingDriver, RatelimitDriver } from '../driver.ts'
import { postgres } from '../drivers/postgres.ts'
import { redis } from '../drivers/redis.ts'

export const migrations: MigrationSource = {
  module: 'ratelimit',
  directory: new URL('../migrations/', import.meta.url),
}

/** The time of these stores is that of their servers: nothing but waiting moves it. */
const pass = async (ms: number): Promise<void> => void (await sleep(Math.ceil(ms)))

/** A redis-server of its own, with two connections. */
export async function redisStore(wrap: (driver: LeasingDriver) => RatelimitDriver): Promise<RatelimitContractStore> {
  const server = await startRedis()
  // As long as a busy machine may take; nothing waits for it.
  const settings = { url: server.url, deadlineMs: 20_000, connectMs: 20_000 }
  const [one, other] = [createRedis(settings), createRedis(settings)]
  return {
    driver: wrap(redis(one)),
    another: wrap(redis(other)),
    pass,
    close: async () => {
      await Promise.all([one.close(), other.close()])
      await server[Symbol.asyncDispose]()
    },
  }
}

/** A database of its own, with two pools. */
export async function postgresStore(wrap: (driver: LeasingDriver) => RatelimitDriver): Promise<RatelimitContractStore> {
  const db = await testDb({ migrations: [migrations] })
  return {
    driver: wrap(postgres(db)),
    another: wrap(postgres(db.another())),
    pass,
    close: async () => db[Symbol.asyncDispose](),
  }
}
