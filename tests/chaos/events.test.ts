import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from 'tsforge/clock'
import type { Db } from 'tsforge/db'
import { createMigrator } from 'tsforge/db/migrate'
import { createEvents } from 'tsforge/events'
import { postgres } from 'tsforge/events/postgres'
import { silentLog } from 'tsforge/log'
import { anyDatabase, randomness, witness } from './arena.ts'
import { crashPoints, ledger, moved } from './events-process.ts'
import type { Lost } from './events-process.ts'
import { unexplained, until } from './jobs-workers.ts'
import type { Fault, Ran } from './jobs-workers.ts'

const kills = process.env['FORGE_TEST_LONG'] === undefined ? 6 : 50
/** Long enough that a process which waits for a processor does not lose it. */
const leaseMs = 5000
const accounts = Array.from({ length: 20 }, (_, n) => `account ${n}`)

const children = new Set<ChildProcess>()
/** Processes that stood still for longer than their lease, as a busy machine lets them. */
const standstills: Fault[] = []
afterEach(async () => {
  await Promise.all([...children].map((child) => end(child, 'SIGKILL')))
})

async function start(url: string, name: string): Promise<ChildProcess> {
  const child = fork(new URL('./events-process.ts', import.meta.url), [url, name, String(leaseMs)], {
    execArgv: ['--conditions=source'],
  })
  children.add(child)
  child.on('message', (told: Lost | 'ready') => {
    if (told === 'ready' || told.untilMs - told.fromMs < leaseMs) return
    const { fromMs, untilMs } = told
    standstills.push({ what: 'stood still', pid: child.pid!, fromMs, untilMs })
  })
  await once(child, 'message')
  return child
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | string> {
  children.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? child.signalCode!
  const exit = once(child, 'exit')
  child.kill(signal)
  const [code, by] = (await exit) as [number | null, string | null]
  return code ?? by!
}

async function prepare(db: Db): Promise<ReturnType<typeof createEvents>> {
  const directory = join(dirname(fileURLToPath(import.meta.resolve('tsforge/events'))), 'migrations')
  const sources = [{ module: 'events', directory }]
  await createMigrator({ connect: () => db.connect(), sources, clock: systemClock, log: silentLog }).up()
  for (const statement of ledger.split(';')) await db.query(statement)
  await db.query('insert into accounts (name) select unnest($1::text[])', [accounts])
  const events = createEvents(postgres({ db }))
  await events.start()
  return events
}

async function count(db: Db, text: string): Promise<number> {
  return (await db.query<{ n: number }>(`select count(*)::int as n from ${text}`, [])).rows[0]!.n
}

interface Effect extends Ran {
  readonly account: string
  readonly place: number
  readonly sequence: string
}

/** A kill, and up to where its victim had stored what it handled. */
interface Kill extends Fault {
  fromMs: number
  readonly cursor: string
}

async function effects(db: Db, subscription: string): Promise<Effect[]> {
  const { rows } = await db.query<Effect>(
    `select n, account, place, sequence, worker, (extract(epoch from at) * 1000)::float8 as "atMs"
     from effects where subscription = $1 order by id`,
    [subscription],
  )
  return rows
}

/** Accounts whose events did not come in their order, the second and later times of each event aside. */
function disordered(ran: readonly Effect[]): string[] {
  const next = new Map<string, number>()
  const wrong = new Set<string>()
  const seen = new Set<number>()
  for (const { n, account, place } of ran) {
    if (seen.has(n)) continue
    seen.add(n)
    if (place !== (next.get(account) ?? 0) + 1) wrong.add(account)
    next.set(account, place)
  }
  return [...wrong]
}

describe('events that are emitted while their dispatchers are killed', () => {
  it('come if and only if they committed, in the order of their key, and again only where a kill explains it', async () => {
    await using database = await anyDatabase()
    await using db = witness(database.url)
    const events = await prepare(db)
    const random = randomness()
    const between = (low: number, high: number): number => low + random() * (high - low)
    const fleet = await Promise.all(['first', 'second', 'third'].map((name) => start(database.url, name)))

    let storming = true
    let next = 0
    const emitting = Promise.all(
      Array.from({ length: 2 }, async () => {
        while (storming) {
          await db
            .tx(async (tx) => {
              for (let i = 0; i < 1 + random() * 3; i++) {
                const [n, account] = [next++, accounts[Math.floor(random() * accounts.length)]!]
                const { rows } = await tx.query<{ places: number }>(
                  'update accounts set places = places + 1 where name = $1 returning places',
                  [account],
                )
                const place = rows[0]!.places
                await tx.query('insert into facts (n, account, place) values ($1, $2, $3)', [n, account, place])
                await events.emit(tx, moved, { n, account, place, failures: random() < 0.02 ? 2 : 0 })
              }
              if (random() < 0.1) throw new Error('nothing happened')
            })
            .catch(() => undefined)
          await sleep(between(0, 12))
        }
      }),
    )
    const busy = async (subscription = '%'): Promise<number> => {
      const { rows } = await db.query<{ worker: number }>(
        'select worker from effects where subscription like $1 order by id desc limit 1',
        [subscription],
      )
      return fleet.findIndex(({ pid }) => pid === rows[0]?.worker)
    }
    const faults: Kill[] = []
    let met = 0
    for (let kill = 0; kill < kills; kill++) {
      const [heir] = await Promise.all([start(database.url, `heir ${kill}`), sleep(between(100, 700))])
      fleet.push(heir)
      // Every second one dies at a moment of its own: somebody has to be at work for it to come.
      const awkward = kill % 2 === 1
      const point = crashPoints[(kill >> 1) % crashPoints.length]!
      // Who has the subscription comes by the moment, the others never do.
      const subscription = { handled: 'handled', batched: 'together' }[point as string]
      if (awkward) await until('somebody is at work', async () => (await busy(subscription)) >= 0, 60_000)
      // Mostly the one that is at work, which the others would not miss.
      const working = await busy(awkward ? subscription : undefined)
      const place = working >= 0 && (awkward || random() < 0.7) ? working : Math.floor(random() * fleet.length)
      const [victim] = fleet.splice(place, 1) as [ChildProcess]
      const { cursor } = (await events.subscriptions()).find(({ name }) => name === 'handled')!
      const fault: Kill = {
        what: 'kill -9',
        pid: victim.pid!,
        cursor,
        fromMs: Date.now(),
        untilMs: Number.POSITIVE_INFINITY,
      }
      faults.push(fault)
      if (awkward) {
        const gone = once(victim, 'exit')
        victim.send(point)
        await Promise.race([gone, sleep(15_000)])
        if (victim.signalCode !== null) met++
      }
      await end(victim, 'SIGKILL')
      fault.untilMs = Date.now()
    }
    storming = false
    await emitting
    const committed = await count(db, 'facts')
    const missing = (subscription: string): string =>
      `facts f where not exists (select from effects e where e.subscription = '${subscription}' and e.n = f.n)`
    for (const subscription of ['handled', 'together'])
      await until(`${subscription}: all have come`, async () => (await count(db, missing(subscription))) === 0, 240_000)
    // Drained, they leave in peace: nothing comes again afterwards.
    expect(await Promise.all(fleet.map((child) => end(child, 'SIGTERM')))).toEqual([0, 0, 0])

    const handled = await effects(db, 'handled')
    const together = await effects(db, 'together')
    console.info(
      `${committed} events, ${handled.length} times handled, ${kills} kills, ${met} at the most awkward moments, ${standstills.length} standstills`,
    )
    expect(met).toBeGreaterThan(0)
    expect(committed).toBeGreaterThan(kills * 20)
    expect(await count(db, 'effects e where not exists (select from facts f where f.n = e.n)'), 'rolled back').toBe(0)
    expect(disordered(handled), 'handled out of order').toEqual([])
    expect(disordered(together), 'batched out of order').toEqual([])
    // Whatever its victim had handled behind its stored place comes again, however long ago that was on a busy machine.
    for (const kill of faults)
      for (const { worker, sequence, atMs } of handled)
        if (worker === kill.pid && sequence > kill.cursor) kill.fromMs = Math.min(kill.fromMs, atMs)
    const excused: Fault[] = [...faults, ...standstills]
    const again = unexplained(handled, excused, leaseMs + 500)
    const told = JSON.stringify({ runs: handled.filter(({ n }) => again.some((each) => each.n === n)), excused })
    expect(again, `handled again for no reason: ${told}`).toEqual([])
    expect(together).toHaveLength(committed)
    expect(await count(db, 'onces')).toBe(committed)
    expect(await count(db, '(select distinct n from onces) x')).toBe(committed)
    expect(await count(db, 'forge_events_parked')).toBe(0)
  }, 600_000)
})
