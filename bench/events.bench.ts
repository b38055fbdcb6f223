/** Our outbox against a poller as it is written by hand, and emitting an event against a plain INSERT. */
import { createDb } from 'tsforge/db'
import type { Db } from 'tsforge/db'
import { createMigrator } from 'tsforge/db/migrate'
import { postgres as postgresDb } from 'tsforge/db/postgres'
import { createDispatcher, createEvents, defineEvent, subscribe } from 'tsforge/events'
import type { Events } from 'tsforge/events'
import { postgres } from 'tsforge/events/postgres'
import { silentLog } from 'tsforge/log'
import { systemClock } from 'tsforge/clock'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from './database.ts'
import type { Bench, Settings } from './bench.ts'
import { claim, median } from './statistics.ts'
import type { Claim } from './statistics.ts'

interface Placed {
  readonly order: string
  readonly total: number
  readonly note: string
}

const placed = defineEvent<Placed>({ type: 'order.placed', subject: ({ order }) => order })
const data = (n: number): Placed => ({ order: `order ${n % 1000}`, total: n, note: 'x'.repeat(100) })

const plain = `
  create table outbox (
    id uuid primary key default gen_random_uuid(), type text not null, payload json not null,
    occurred_at timestamptz not null default now(), published_at timestamptz, attempts integer not null default 0
  );
  create index on outbox (occurred_at) where published_at is null`

/** What everybody writes first: once a second, up to a hundred rows are claimed, published and marked in one transaction. */
function poller(db: Db, publish: (payload: unknown) => void): () => Promise<void> {
  const over = new AbortController()
  const polling = (async () => {
    while (!over.signal.aborted) {
      await db.tx(async (tx) => {
        const { rows } = await tx.query<{ id: string; payload: unknown }>(
          `select id, payload from outbox where published_at is null and attempts < 12
           order by occurred_at limit 100 for update skip locked`,
        )
        for (const { id, payload } of rows) {
          publish(payload)
          await tx.query('update outbox set published_at = now() where id = $1', [id])
        }
      })
      await sleep(1000, undefined, { signal: over.signal }).catch(() => undefined)
    }
  })()
  return () => {
    over.abort()
    return polling
  }
}

/** Handled per second until `count` have been, from the first handler to the last. */
async function throughput(
  count: number,
  begin: (handled: () => void) => Promise<() => Promise<void>>,
): Promise<number> {
  const done = Promise.withResolvers<void>()
  let [handled, first] = [0, 0]
  const end = await begin(() => {
    if (handled++ === 0) first = performance.now()
    if (handled === count) done.resolve()
  })
  await done.promise
  const seconds = (performance.now() - first) / 1000
  await end()
  if (handled !== count) throw new Error(`${handled} were handled of ${count}`)
  return (count - 1) / seconds
}

let subscriptions = 0

/** A subscription that begins now; its dispatcher when it is called. */
async function subscribed(events: Events, handler: (data: Placed) => void): Promise<() => () => Promise<void>> {
  const name = `bench.${++subscriptions}`
  const dispatcher = createDispatcher({
    events,
    subscriptions: [subscribe({ name, to: placed, handler: ({ data: what }) => handler(what) })],
  })
  await events.driver.declare([{ name, from: 'now' }])
  return () => {
    dispatcher.start()
    return async () => {
      await dispatcher.drain()
      await dispatcher.stop()
    }
  }
}

async function ours(db: Db, events: Events, count: number): Promise<number> {
  return throughput(count, async (handled) => {
    const begin = await subscribed(events, handled)
    for (let n = 0; n < count; n += 500)
      await events.emitMany(
        db,
        placed,
        Array.from({ length: 500 }, (_, i) => ({ data: data(n + i) })),
      )
    return begin()
  })
}

async function theirs(db: Db, count: number): Promise<number> {
  await db.query('truncate outbox')
  await db.query(
    `insert into outbox (type, payload) select 'order.placed', $1::json from generate_series(1, ${count})`,
    [JSON.stringify(data(1))],
  )
  return throughput(count, async (handled) => poller(db, handled))
}

/** Milliseconds from a commit to the handler, with nothing else to do. */
async function latencies(db: Db, events: Events, count: number): Promise<number[]> {
  const begun = new Map<number, number>()
  const took: number[] = []
  const begin = await subscribed(events, ({ total }) => void took.push(performance.now() - begun.get(total)!))
  const end = begin()
  await sleep(500)
  for (let n = 0; n < count; n++) {
    await db.tx(async (tx) => {
      await events.emit(tx, placed, data(n))
      begun.set(n, performance.now())
    })
    await sleep(20 + Math.random() * 100)
  }
  while (took.length < count) await sleep(5)
  await end()
  return took
}

/** Transactions per second that write one row, and one row and what `more` does. */
async function transactions(
  db: Db,
  count: number,
  more: (tx: Parameters<Parameters<Db['tx']>[0]>[0], n: number) => Promise<unknown>,
) {
  const began = performance.now()
  for (let n = 0; n < count; n++)
    await db.tx(async (tx) => {
      await tx.query('insert into orders (total) values ($1)', [n])
      await more(tx, n)
    })
  return (count * 1000) / (performance.now() - began)
}

async function run({ rounds, note }: Settings): Promise<Claim[]> {
  const full = rounds > 3
  const turns = full ? 5 : 3
  const [many, few, single, emits] = full ? [50_000, 600, 100, 1000] : [10_000, 300, 40, 300]
  const database = await openDatabase({ durable: true })
  const db = createDb(postgresDb({ url: database.url, max: 10 }))
  const events = createEvents(postgres({ db }))
  try {
    const directory = new URL('./migrations/', import.meta.resolve('tsforge/events'))
    const sources = [{ module: 'events', directory }]
    await createMigrator({ connect: () => db.connect(), sources, clock: systemClock, log: silentLog }).up()
    for (const statement of plain.split(';')) await db.query(statement)
    await db.query('create table orders (id bigint generated always as identity primary key, total integer not null)')
    await events.start()
    note(`${database.version}; events handled per second, latencies in ms, transactions per second`)
    await ours(db, events, 2000)

    const [mine, hand, delay, emit, insert]: number[][] = [[], [], [], [], []]
    for (let turn = 0; turn < turns; turn++) {
      mine!.push(await ours(db, events, many))
      hand!.push(await theirs(db, few))
      delay!.push(...(await latencies(db, events, single)))
      const write = `insert into outbox (type, payload) values ('order.placed', $1)`
      insert!.push(await transactions(db, emits, (tx, n) => tx.query(write, [JSON.stringify(data(n))])))
      emit!.push(await transactions(db, emits, (tx, n) => events.emit(tx, placed, data(n))))
      note(
        `round ${turn + 1}: ours ${Math.round(mine!.at(-1)!)} /s, poller ${Math.round(hand!.at(-1)!)} /s; ` +
          `to the handler ${median(delay!).toFixed(1)} ms; emit ${Math.round(emit!.at(-1)!)} /s, insert ${Math.round(insert!.at(-1)!)} /s`,
      )
    }
    const sorted = delay!.toSorted((a, b) => a - b)
    note(
      `from the commit to the handler: median ${median(sorted).toFixed(1)} ms, p99 ${sorted[Math.floor(sorted.length * 0.99)]!.toFixed(1)} ms`,
    )
    return [
      claim('events.dispatch.poller', mine!, hand!),
      claim('events.emit.insert', emit!, insert!),
      // Against the 20 ms that a browser may wait for.
      claim('events.handler.budget', [median(sorted)], [20]),
    ]
  } finally {
    await events.close()
    await db.close()
    await database.remove()
  }
}

export const bench: Bench = {
  bars: {
    'events.dispatch.poller': { atLeast: 20 },
    'events.emit.insert': { atLeast: 0.5 },
    'events.handler.budget': { atMost: 1 },
  },
  run,
}
