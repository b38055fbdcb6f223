import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { testDb } from '../../../testing/db.ts'
import type { TestDb } from '../../../testing/db.ts'
import { isPglite } from '../../../testing/server.ts'
import { createDispatcher } from '../dispatcher/create-dispatcher.ts'
import { createEvents } from '../create-events.ts'
import { defineEvent } from '../define-event.ts'
import { beginning } from '../driver.ts'
import type { LoggedEvent, Position } from '../driver.ts'
import { postgres } from '../drivers/postgres.ts'
import { eventHandled } from '../events.ts'
import { subscribe } from '../subscribe.ts'
import { migrations, postgresLab } from './lab.ts'

interface Step {
  readonly key: string
  readonly n: number
}
const step = defineEvent<Step>({ type: 'thing.stepped', key: ({ key }) => key })

async function all(events: ReturnType<typeof createEvents>, after?: Position): Promise<LoggedEvent[]> {
  const found: LoggedEvent[] = []
  for (let next = after; ;) {
    const page = await events.read({ after: next, limit: 500 })
    found.push(...page.events)
    if (page.end) return found
    next = page.next
  }
}

const dataOf = ({ data }: LoggedEvent): Step => data as Step

describe('the log in PostgreSQL', () => {
  let lab: Awaited<ReturnType<typeof postgresLab>>
  let db: TestDb
  beforeAll(async () => {
    lab = await postgresLab()
    ;({ db } = lab)
    await lab.driver.start()
  })
  beforeEach(() => lab.clear())
  afterAll(() => lab.close())
  const open = (): ReturnType<typeof createEvents> => createEvents(postgres({ db: lab.db }))

  // PGlite has one connection.
  describe.each(isPglite() ? [] : ['several connections'])('with %s', () => {
    it('is read without gaps and in the order of each key while many write and commit in any order', async () => {
      const other = db.another()
      const events = open()
      const seen: LoggedEvent[] = []
      let writing = true
      const reading = (async () => {
        const reader = createEvents(postgres({ db: other }))
        for (let next: Position | undefined; ;) {
          const last = !writing
          const page = await reader.read({ after: next, limit: 100 })
          seen.push(...page.events)
          ;({ next } = page)
          if (page.end && last) return
          if (page.end) await new Promise((resolve) => setImmediate(resolve))
        }
      })()
      const keys = ['a', 'b', 'c', 'd', 'e']
      await db.query('create table counters (key text primary key, n integer not null)')
      await db.query(`insert into counters select unnest($1::text[]), 0`, [keys])
      let rolledBack = 0
      await Promise.all(
        Array.from({ length: 50 }, async (_, writer) => {
          for (let round = 0; round < 6; round++) {
            const key = keys[(writer + round) % keys.length]!
            await db
              .tx(async (tx) => {
                // Some get the id of their transaction long before they see what the others have done.
                if (writer % 3 === 0) await tx.query('select pg_current_xact_id()')
                const { rows } = await tx.query<{ n: number }>(
                  'update counters set n = n + 1 where key = $1 returning n',
                  [key],
                )
                await events.emit(tx, step, { key, n: rows[0]!.n })
                if (writer % 7 === 0) await tx.query('select pg_sleep(0.003)')
                if ((writer + round) % 10 === 9) throw new Error('rolled back')
              })
              .catch(() => rolledBack++)
          }
        }),
      )
      writing = false
      await reading
      expect(rolledBack).toBe(30)
      expect(seen).toHaveLength(300 - rolledBack)
      expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map(({ sequence }) => sequence).toSorted())
      expect(seen).toEqual(await all(events))
      for (const key of keys) {
        const steps = seen.map(dataOf).filter((each) => each.key === key)
        expect(steps.map(({ n }) => n)).toEqual(steps.map((_, i) => i + 1))
      }
    })

    it('is not held up by a long transaction, whose events come when it commits', async () => {
      const events = open()
      const begun = Promise.withResolvers<void>()
      const end = Promise.withResolvers<void>()
      const long = db.tx(async (tx) => {
        await events.emit(tx, step, { key: 'long', n: 1 })
        begun.resolve()
        await end.promise
        await events.emit(tx, step, { key: 'long', n: 2 })
      })
      await begun.promise
      await events.emit(db, step, { key: 'short', n: 1 })
      const early = await all(events)
      expect(early.map(dataOf)).toEqual([{ key: 'short', n: 1 }])
      await events.emit(db, step, { key: 'short', n: 2 })
      end.resolve()
      await long
      await events.emit(db, step, { key: 'short', n: 3 })
      const late = await all(events, early.at(-1)!.sequence)
      expect(late.map(dataOf)).toEqual(
        expect.arrayContaining([
          { key: 'long', n: 1 },
          { key: 'long', n: 2 },
          { key: 'short', n: 2 },
          { key: 'short', n: 3 },
        ]),
      )
      expect(late).toHaveLength(4)
      expect(await all(events)).toEqual([...early, ...late])
      // In parts of one, late and fresh events of a window keep their order.
      const single: LoggedEvent[] = []
      for (let next: Position | undefined, more = true; more;) {
        const page = await events.read({ after: next, limit: 1 })
        single.push(...page.events)
        more = page.events.length > 0
        ;({ next } = page)
      }
      expect(single).toEqual([...early, ...late])
    })

    it('is handled by one of many dispatchers', async () => {
      const events = open()
      const seen: string[] = []
      const handled = Promise.withResolvers<void>()
      const dispatchers = Array.from({ length: 50 }, (_, who) =>
        createDispatcher({
          events,
          // Nobody loses it because the machine is slow.
          options: { leaseMs: 60_000 },
          subscriptions: [
            subscribe({
              name: 'one',
              to: step,
              from: 'start',
              handler: ({ id }) => {
                seen.push(`${who} ${id}`)
                if (seen.length === 200) handled.resolve()
              },
            }),
          ],
        }),
      )
      for (const each of dispatchers) each.start()
      for (let n = 0; n < 200; n += 20)
        await events.emitMany(
          db,
          step,
          Array.from({ length: 20 }, (_, i) => ({ data: { key: `k${i}`, n: n + i } })),
        )
      await handled.promise
      await Promise.all(dispatchers.map((each) => each.drain()))
      expect(new Set(seen.map((each) => each.split(' ')[1])).size).toBe(200)
      expect(seen).toHaveLength(200)
      await Promise.all(dispatchers.map((each) => each.stop()))
      await events.close()
    })

    it('tells nobody while nobody waits', async () => {
      const events = open()
      let told = 0
      const stop = await db.listen('forge_events', () => void told++)
      await events.emit(db, step, { key: 'a', n: 1 })
      await lab.driver.await('0197d7a0-0000-7000-8000-00000000000a', 60_000)
      const heard = Promise.withResolvers<void>()
      const stopToo = await db.listen('forge_events', () => heard.resolve())
      await events.emit(db, step, { key: 'a', n: 2 })
      await heard.promise
      expect(told).toBe(1)
      await lab.driver.await('0197d7a0-0000-7000-8000-00000000000a', 0)
      await Promise.all([stop(), stopToo()])
    })
  })

  it('goes on in a cluster whose transactions begin anew', async () => {
    const events = open()
    await events.emit(db, step, { key: 'a', n: 1 })
    await all(events)
    await events.emit(db, step, { key: 'a', n: 2 })
    // As a dump of a cluster that is far ahead would have it; the second event is in no window yet.
    const far = 5_000_000_000
    await db.query(`update forge_events set xid = xid + ${far}`)
    await db.query(`update forge_events_windows set top = top + ${far}, low = low + ${far},
      running = array(select x + ${far} from unnest(running) x), late = array(select x + ${far} from unnest(late) x)
      where no > 0 and late is not null`)
    await db.query(`update forge_events_windows set top = top + ${far}, low = low + ${far},
      running = array(select x + ${far} from unnest(running) x) where late is null`)
    const restored = open()
    await restored.start()
    await restored.emit(db, step, { key: 'a', n: 3 })
    expect((await all(restored)).map(({ data }) => (data as Step).n)).toEqual([1, 2, 3])
    await restored.emit(db, step, { key: 'a', n: 4 })
    expect((await all(restored)).map(({ data }) => (data as Step).n)).toEqual([1, 2, 3, 4])
    const shift = async () =>
      Number((await db.query<{ shift: unknown }>('select shift from forge_events_state')).rows[0]!.shift)
    const before = await shift()
    expect(before).toBeGreaterThan(far / 2)
    await restored.start()
    expect(await shift()).toBe(before)
    await db.query('update forge_events_state set shift = 0')
    await db.query('truncate forge_events')
    await db.query(`update forge_events_windows set top = top - ${before}, running = '{}'`)
  })

  it('drops days that are old and that everybody has passed', async () => {
    const events = open()
    const { driver } = lab
    const day = 86_400_000
    await db.query(`
      create table forge_events_20200101 partition of forge_events for values from ('2020-01-01 00:00Z') to ('2020-01-02 00:00Z')`)
    await events.emit(db, step, { key: 'a', n: 1 })
    await db.query(`update forge_events set at = '2020-01-01 12:00Z'`)
    const first = await events.head()
    await driver.declare([{ name: 'slow', from: 'start' }])
    await events.emit(db, step, { key: 'a', n: 2 })
    await events.head()
    const keep = (): Promise<readonly string[]> =>
      driver.maintain({ retentionMs: 7 * day, deadMs: 7 * day }).then((done) => done.partitionsDropped)
    expect(await keep(), 'closed a moment ago').toEqual([])
    await db.query(`update forge_events_windows set closed_at = closed_at - interval '8 days'`)
    expect(await keep(), 'somebody needs it').toEqual([])
    const [lease] = await driver.claim(['slow'], 'me', 1000)
    await driver.settle(lease!, { cursor: first, park: [], retried: [] })
    expect(await keep()).toEqual(['forge_events_20200101'])
    expect((await all(events)).map(dataOf)).toEqual([{ key: 'a', n: 2 }])
    expect((await all(events, first)).map(dataOf)).toEqual([{ key: 'a', n: 2 }])
    await expect(events.read({ after: beginning })).rejects.toMatchObject({ code: 'events.position_expired' })
  })

  it('is not kept for a subscription that nobody has any more, which goes on behind the gap when it is back', async () => {
    const events = open()
    const { driver } = lab
    const day = 86_400_000
    await driver.declare([{ name: 'gone', from: 'start' }])
    await db.query(`
      create table forge_events_20200102 partition of forge_events for values from ('2020-01-02 00:00Z') to ('2020-01-03 00:00Z')`)
    await events.emit(db, step, { key: 'a', n: 1 })
    await db.query(`update forge_events set at = '2020-01-02 12:00Z'`)
    const first = await events.head()
    await lab.pass(8 * day)
    const done = await driver.maintain({ retentionMs: 7 * day, deadMs: 7 * day })
    expect(done).toMatchObject({ partitionsDropped: ['forge_events_20200102'], retired: ['gone'] })
    const [lease] = await driver.claim(['gone'], 'me', 1000)
    expect(lease).toMatchObject({ cursor: first })
    expect(lease!.skippedFrom! < first).toBe(true)
  })

  it('forgets what was done once, but not of an event that may come again', async () => {
    const { driver } = lab
    const day = 86_400_000
    const events = open()
    await driver.declare([{ name: 's', from: 'start' }])
    await events.emitMany(db, step, [{ data: { key: 'a', n: 1 } }, { data: { key: 'b', n: 2 } }])
    const [one, two] = await all(events)
    for (const { id } of [one!, two!]) await driver.once('s', id, async () => 'done')
    const [lease] = await driver.claim(['s'], 'me', 1000)
    await driver.settle(lease!, {
      cursor: two!.sequence,
      park: [{ event: two!, attempt: 1, delayMs: 0, dead: true }],
      retried: [],
    })
    await db.query(`update forge_events_inbox set at = at - interval '9 days'`)
    await driver.maintain({ retentionMs: 7 * day, deadMs: 30 * day })
    expect(await driver.once('s', one!.id, async () => 'again')).toBe('again')
    expect(await driver.once('s', two!.id, async () => 'again')).toBeUndefined()
  })

  it('forgets all that has had its time at once, however much that is', async () => {
    const day = 86_400_000
    await open().emit(db, step, { key: 'a', n: 1 })
    await open().head()
    await db.query(
      `insert into forge_events_inbox (subscription, event, at)
       select 's', gen_random_uuid(), now() - interval '9 days' from generate_series(1, 60000)`,
    )
    await lab.driver.maintain({ retentionMs: 7 * day, deadMs: 30 * day })
    expect((await db.query('select 1 from forge_events_inbox limit 1')).rows).toEqual([])
  })

  it('stands in one database beside another of the same cluster', async () => {
    await using other = await testDb({ migrations: [migrations] })
    const events = createEvents(postgres({ db: other }))
    await events.start()
    await events.emit(other, step, { key: 'a', n: 1 })
    expect(await all(events)).toHaveLength(1)
    expect(await all(open())).toEqual([])
    expect(eventHandled.hasSubscribers).toBe(false)
  })
})
