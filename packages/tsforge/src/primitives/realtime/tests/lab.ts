import { systemClock } from '../../../kernel/clock.ts'
import { silentLog } from '../../../kernel/log.ts'
import { testDb } from '../../../testing/db.ts'
import { createEvents } from '../../events/index.ts'
import type { Events } from '../../events/index.ts'
import { memory } from '../../events/drivers/memory.ts'
import { postgres } from '../../events/drivers/postgres.ts'
import { createRedis } from '../../redis/index.ts'
import type { Redis } from '../../redis/index.ts'
import { contractHappened, contractOther } from '../contract.ts'
import type { RealtimeLab } from '../contract.ts'
import { log } from '../drivers/log.ts'
import { redis } from '../drivers/redis.ts'
import type { RealtimeDriver } from '../driver.ts'

export interface Lab extends RealtimeLab {
  readonly events: readonly Events[]
}

const migrations = [{ module: 'events', directory: new URL('../../events/migrations/', import.meta.url) }]

export async function memoryLab(): Promise<Lab> {
  const db = await testDb()
  const events = createEvents(memory({ db }))
  return lab([events], [log(events)], db, async () => {})
}

/** Two processes with pools of their own. */
export async function postgresLab(
  over: (events: Events, at: number) => RealtimeDriver = (events) => log(events),
  end: () => Promise<void> = async () => {},
): Promise<Lab> {
  const db = await testDb({ migrations })
  const pools = [db, db.another()]
  const events = pools.map((pool) => createEvents(postgres({ db: pool })))
  for (const each of events) await each.start()
  return lab(events, events.map(over), db, async () => {
    await end()
    await pools[1]!.close()
  })
}

export async function redisLab(url: string): Promise<Lab & { readonly connections: readonly Redis[] }> {
  const connect = (): Redis => createRedis({ url, connectMs: 20_000 })
  const connections = [connect(), connect()]
  const made = await postgresLab(
    (events, at) => redis(connections[at]!, { events, clock: systemClock, log: silentLog, length: 100 }),
    async () => {
      for (const connection of connections) await connection.close()
    },
  )
  return Object.assign(made, { connections })
}

function lab(
  events: readonly Events[],
  drivers: readonly RealtimeDriver[],
  db: Awaited<ReturnType<typeof testDb>>,
  end: () => Promise<void>,
): Lab {
  return {
    events,
    drivers,
    db,
    emit: async (data, { tenantId, type }) => {
      await events[0]!.emit(db, type === 'contract.other' ? contractOther : contractHappened, data, { tenantId })
    },
    close: async () => {
      for (const each of events) await each.close()
      await end()
      await db[Symbol.asyncDispose]()
    },
  }
}
