/**
 * One process that delivers events and writes what it does to a ledger in the same database. It ends at SIGTERM as an
 * app does, and at nothing else.
 */
import { subscribe as listen } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDb } from 'tsforge/db'
import { postgres as database } from 'tsforge/db/postgres'
import { createDispatcher, createEvents, defineEvent, inTransaction, subscribe } from 'tsforge/events'
import type { EventsDriver, EventType } from 'tsforge/events'
import { postgres } from 'tsforge/events/postgres'

export interface Moved {
  readonly n: number
  readonly account: string
  /** Place among the events of its account. */
  readonly place: number
  /** Its handler fails so often. */
  readonly failures: number
}

export const moved: EventType<Moved> = defineEvent<Moved>({ type: 'money.moved', key: ({ account }) => account })

export const ledger = `
  create table accounts (name text primary key, places integer not null default 0);
  create table facts (n integer primary key, account text not null, place integer not null);
  create table effects (
    id bigint generated always as identity primary key, subscription text not null, n integer not null,
    account text not null, place integer not null, sequence text not null, worker integer not null, at timestamptz not null default clock_timestamp()
  );
  create table onces (n integer not null)`

/** Where a process can be told to die: the most awkward moments, which a kill at random seldom finds. */
export const crashPoints = ['handled', 'batched', 'before storing', 'after storing'] as const
export type CrashPoint = (typeof crashPoints)[number]

let wanted: CrashPoint | undefined

function pass(point: CrashPoint): void {
  if (point === wanted) process.kill(process.pid, 'SIGKILL')
}

/** Whatever moves a subscription on, with a crash point on both sides. */
function fragile(driver: EventsDriver): EventsDriver {
  const around =
    <Args extends unknown[], Result>(move: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      pass('before storing')
      const result = await move(...args)
      pass('after storing')
      return result
    }
  return Object.assign(driver, {
    settle: around(driver.settle.bind(driver)),
    commit: around(driver.commit.bind(driver)),
  })
}

/** Told to who started this process: it has lost a subscription, which it was last known to have at `fromMs`. */
export interface Lost {
  readonly lost: string
  readonly fromMs: number
  readonly untilMs: number
}

/** Remembers since when each subscription was not renewed, and tells when one is lost. */
function watched(driver: EventsDriver): EventsDriver {
  const heldAt = new Map<string, number>()
  const around =
    <Args extends unknown[], Held extends readonly { readonly name: string }[]>(
      hold: (...args: Args) => Promise<Held>,
    ) =>
    async (...args: Args): Promise<Held> => {
      const began = Date.now()
      const held = await hold(...args)
      for (const { name } of held) heldAt.set(name, began)
      return held
    }
  listen('event.subscription_changed', (message) => {
    const { subscription, state } = message as { readonly subscription: string; readonly state: string }
    if (state === 'lost')
      process.send?.({ lost: subscription, fromMs: heldAt.get(subscription)!, untilMs: Date.now() } satisfies Lost)
  })
  return Object.assign(driver, {
    claim: around(driver.claim.bind(driver)),
    renew: around(driver.renew.bind(driver)),
  })
}

async function main([url, name, leaseMs]: readonly [string, string, string]): Promise<void> {
  const db = createDb(database({ url, max: 8, applicationName: name }))
  const events = createEvents(fragile(watched(postgres({ db }))))
  const write = `insert into effects (subscription, n, account, place, sequence, worker) values ($1, $2, $3, $4, $5, ${process.pid})`
  const dispatcher = createDispatcher({
    events,
    options: { leaseMs: Number(leaseMs) },
    subscriptions: [
      subscribe({
        name: 'handled',
        to: moved,
        from: 'start',
        maxAttempts: 1000,
        backoff: { baseMs: 10, capMs: 100 },
        handler: async ({ sequence, data: { n, account, place, failures } }, { attempt, once, signal }) => {
          await sleep(n % 7, undefined, { signal })
          if (attempt <= failures) throw new Error('not yet')
          await once(async (tx) => void (await tx.query('insert into onces (n) values ($1)', [n])))
          await db.query(write, ['handled', n, account, place, sequence])
          pass('handled')
        },
      }),
      inTransaction({
        name: 'together',
        to: 'money.*',
        from: 'start',
        transaction: async (batch, tx) => {
          for (const { sequence, data } of batch as readonly { sequence: string; data: Moved }[])
            await tx.query(write, ['together', data.n, data.account, data.place, sequence])
          pass('batched')
        },
      }),
    ],
  })
  process.once('SIGTERM', () => {
    void (async () => {
      await dispatcher.drain()
      await dispatcher.stop()
      await events.close()
      await db.close()
      process.exit(0)
    })()
  })
  process.on('message', (point: CrashPoint) => (wanted = point))
  process.once('disconnect', () => process.exit(1))
  dispatcher.start()
  process.send?.('ready')
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2) as [string, string, string])
