import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { realtimeContract } from '../contract.ts'
import type { RealtimeDriver } from '../driver.ts'
import { idOf } from '../drivers/redis/names.ts'
import { redisLab } from './lab.ts'

const numbersBehind = async (driver: RealtimeDriver, from: string, tenantId: string) => {
  const numbers: number[] = []
  for (let after = from, end = false; !end;) {
    const page = await driver.read({ after, limit: 1000, tenantId })
    numbers.push(...page.events.map(({ data }) => (data as { n: number }).n))
    after = page.next
    end = page.end
  }
  return numbers
}

describe.runIf(hasRedis)('a copy of the log in Redis', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  realtimeContract({ name: 'Redis', create: () => redisLab(server.url) })

  it('is made by one process, and never shows a gap, whatever is lost of it', async () => {
    await server.admin('FLUSHALL')
    const lab = await redisLab(server.url)
    for (const driver of lab.drivers) await driver.start()
    const tenantId = randomUUID()
    const [first, second] = lab.drivers
    const stream = '{forge:realtime}:events'
    const copied = async () => Number((await server.admin('XLEN', stream)).replace(/\D/g, ''))
    // An empty copy begins with what comes after its maker has looked.
    await expect
      .poll(async () => (await lab.emit({ n: 0 }, { tenantId: randomUUID() }), await copied()))
      .toBeGreaterThan(0)
    const from = await first!.head()
    const all = () => numbersBehind(second!, from, tenantId)
    for (let n = 0; n < 10; n++) await lab.emit({ n }, { tenantId })
    await expect.poll(all).toEqual(Array.from({ length: 10 }, (_, n) => n))
    const last = (await lab.events[0]!.read({ after: from, tenantId })).events.at(-1)!
    await expect.poll(() => server.admin('XREVRANGE', stream, '+', '-', 'COUNT', '1')).toContain(idOf(last.sequence))
    // An entry in the middle, then all but the newest, then everything.
    const { events } = await lab.events[0]!.read({ after: from, tenantId })
    await server.admin('XDEL', stream, idOf(events[4]!.sequence))
    await expect.poll(all).toEqual(Array.from({ length: 10 }, (_, n) => n))
    await server.admin('XTRIM', stream, 'MAXLEN', '1')
    await expect.poll(all).toEqual(Array.from({ length: 10 }, (_, n) => n))
    await server.admin('FLUSHALL')
    await expect.poll(all).toEqual(Array.from({ length: 10 }, (_, n) => n))
    for (let n = 10; n < 20; n++) await lab.emit({ n }, { tenantId })
    await expect.poll(all, { timeout: 30_000 }).toEqual(Array.from({ length: 20 }, (_, n) => n))
    for (const driver of lab.drivers) await driver.close()
    await lab.close()
  }, 120_000)

  it('is done without while Redis is away, and by another process when its maker ends', async () => {
    const lab = await redisLab(server.url)
    for (const driver of lab.drivers) await driver.start()
    const tenantId = randomUUID()
    const [first, second] = lab.drivers
    const from = await first!.head()
    const all = () => numbersBehind(second!, from, tenantId)
    let told = 0
    second!.watch(() => told++)
    await server.kill()
    const before = told
    for (let n = 0; n < 5; n++) await lab.emit({ n }, { tenantId })
    await expect.poll(() => told).toBeGreaterThan(before)
    await expect.poll(all).toEqual([0, 1, 2, 3, 4])
    await server.start()
    await first!.close()
    await lab.emit({ n: 5 }, { tenantId })
    await expect.poll(all).toEqual([0, 1, 2, 3, 4, 5])
    await expect.poll(() => server.admin('EXISTS', '{forge:realtime}:lock'), { timeout: 60_000 }).toMatch(/1/)
    await second!.close()
    await lab.close()
  }, 120_000)
})
