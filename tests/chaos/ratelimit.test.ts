import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createDb } from 'tsforge/db'
import { postgres } from 'tsforge/db/postgres'
import { createMigrator } from 'tsforge/db/migrate'
import { systemClock } from 'tsforge/clock'
import { silentLog } from 'tsforge/log'
import { hasRedis, startRedis } from 'tsforge/testing/redis-server'
import { anyDatabase } from './arena.ts'
import type { Hammered, Kind, Order } from './ratelimit-process.ts'

const now = (): number => Number(process.hrtime.bigint()) / 1e6

const children: ChildProcess[] = []
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
})

async function start(kind: Kind, url: string): Promise<ChildProcess> {
  const child = fork(new URL('./ratelimit-process.ts', import.meta.url), [kind, url], {
    execArgv: ['--conditions=source'],
  })
  children.push(child)
  await once(child, 'message')
  return child
}

/** Four processes hammer one key at the same time, for `ms`. */
async function hammered(kind: Kind, url: string, spec: Order['spec'], ms: number): Promise<readonly Hammered[]> {
  const four = await Promise.all(Array.from({ length: 4 }, () => start(kind, url)))
  const fromMs = now() + 300
  return Promise.all(
    four.map(async (child) => {
      const answer = once(child, 'message')
      child.send({ spec, fromMs, toMs: fromMs + ms } satisfies Order)
      return ((await answer) as [Hammered])[0]
    }),
  )
}

/** Asserts what a limit of 1000 per 10 s promises to four processes. */
async function examine(kind: Kind, url: string, ms: number): Promise<void> {
  const spec = { name: 'chaos', limit: 1000, window: '10s', whenLost: 'closed' } as const
  const all = await hammered(kind, url, spec, ms)
  const grants = all.reduce((sum, each) => sum + each.grants, 0)
  const fromMs = Math.min(...all.map((each) => each.fromMs))
  const elapsedMs = Math.max(...all.map(({ toMs }) => toMs)) - fromMs
  // What comes back behind the last call nobody can have taken.
  const askedMs = Math.max(...all.map(({ lastMs }) => lastMs)) - fromMs
  const shares = all.map((each) => each.grants)
  expect(all.map(({ lost }) => lost)).toEqual([0, 0, 0, 0])
  expect(grants, `${kind}: shares ${shares.join(', ')}`).toBeLessThanOrEqual(1000 + elapsedMs / 10)
  // And nearly all of it: what leases lose is little.
  expect(grants, `${kind}: shares ${shares.join(', ')}`).toBeGreaterThan(0.9 * (1000 + askedMs / 10))
  // Of what comes back while it runs: a process that begins late finds the burst spent.
  for (const { grants: share, ranMs } of all)
    expect(share, `${kind}: shares ${shares.join(', ')}`).toBeGreaterThanOrEqual(Math.floor(ranMs / 100))
}

describe.runIf(hasRedis)('four processes that hammer a limit of 1000 per 10 s on one Redis', () => {
  for (const kind of ['redis', 'leased redis'] as const) {
    it(`are never granted more, and none of them starves (${kind})`, async () => {
      await using server = await startRedis()
      await examine(kind, server.url, 3000)
    })
  }

  it('get back with time what a process held that was killed', async () => {
    await using server = await startRedis()
    const spec = { name: 'killed', limit: 400, window: '2s', whenLost: 'closed' } as const
    const victim = await start('leased redis', server.url)
    victim.send({ spec, fromMs: now(), toMs: now() + 60_000 } satisfies Order)
    await new Promise((done) => setTimeout(done, 200))
    victim.kill('SIGKILL')
    await once(victim, 'exit')
    const survivors = await hammered('leased redis', server.url, spec, 1500)
    expect(survivors.map(({ lost }) => lost)).toEqual([0, 0, 0, 0])
    expect(survivors.reduce((sum, { grants }) => sum + grants, 0)).toBeGreaterThan(0)
  })
})

describe('four processes that hammer a limit of 1000 per 10 s on one PostgreSQL', () => {
  for (const kind of ['postgres', 'leased postgres'] as const) {
    it(`are never granted more, and none of them starves (${kind})`, async () => {
      await using database = await anyDatabase()
      const db = createDb(postgres({ url: database.url, max: 1 }))
      const directory = join(dirname(fileURLToPath(import.meta.resolve('tsforge/ratelimit'))), 'migrations')
      const sources = [{ module: 'ratelimit', directory }]
      await createMigrator({ connect: () => db.connect(), sources, clock: systemClock, log: silentLog }).up()
      await db.close()
      // A statement takes its time when ten of them want one row: the burst is split less evenly.
      await examine(kind, database.url, 6000)
    })
  }
})
