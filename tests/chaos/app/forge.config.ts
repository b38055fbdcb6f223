import { defineConfig, defineFeature } from 'tsforge'
import { dbPort } from 'tsforge/db'
import { created, route } from 'tsforge/http'
import { idempotency } from 'tsforge/idempotency'
import { Type } from 'tsforge/schema'
import { payments } from './payments.ts'

const Entry = Type.Object({ id: Type.String({ format: 'uuid' }) })
const Pause = Type.Object({ ms: Type.Integer({ minimum: 0 }) })
const Done = Type.Object({ done: Type.Boolean() })
const done = { done: true }

/** An app with everything that can go wrong between a request and its database. */
const ledger = defineFeature({
  name: 'ledger',
  needs: { db: dbPort },
  migrations: { module: 'ledger', directory: new URL('./migrations/', import.meta.url) },
  setup: ({ db, clock }) => ({ db, clock }),
  routes: ({ db, clock }) => [
    route({
      method: 'POST',
      url: '/entries',
      id: 'write',
      summary: 'Write an entry in a transaction, a pipeline or a single statement',
      access: 'public',
      body: Type.Object({ ...Entry.properties, way: Type.Enum(['tx', 'pipeline', 'query']) }),
      status: 201,
      data: Entry,
      handler: async ({ body: { id, way } }) => {
        const insert = { text: 'insert into entries (id) values ($1)', values: [id] }
        if (way === 'tx') await db.tx((tx) => tx.query(insert.text, insert.values))
        else if (way === 'pipeline') await db.pipeline([insert, { text: 'select 1' }])
        else await db.query(insert.text, insert.values)
        return created({ id })
      },
    }),
    route({
      method: 'GET',
      url: '/entries',
      id: 'count',
      summary: 'Count the entries',
      access: 'public',
      data: Type.Object({ count: Type.Integer() }),
      handler: async () => {
        const { rows } = await db.query<{ count: number }>('select count(*)::int as count from entries', [])
        return { count: rows[0]?.count ?? 0 }
      },
    }),
    route({
      method: 'POST',
      url: '/hold',
      id: 'hold',
      summary: 'Keep a connection busy',
      access: 'public',
      body: Pause,
      data: Done,
      handler: async ({ body: { ms } }) => {
        await db.tx((tx) => tx.query('select pg_sleep($1)', [ms / 1000]))
        return done
      },
    }),
    route({
      method: 'POST',
      url: '/locked',
      id: 'writeLocked',
      summary: 'Write to a table that somebody may have locked',
      access: 'public',
      body: Entry,
      data: Done,
      handler: async ({ body: { id } }) => {
        await db.tx((tx) => tx.query('insert into locked (id) values ($1)', [id]))
        return done
      },
    }),
    route({
      method: 'POST',
      url: '/transfers',
      id: 'transfer',
      summary: 'Touch two rows in the order that was asked for',
      access: 'public',
      body: Type.Object({ names: Type.Array(Type.String(), { minItems: 2, maxItems: 2 }) }),
      data: Done,
      handler: async ({ body: { names } }) => {
        await db.tx(async (tx) => {
          for (const name of names) await tx.query('update counters set value = value + 1 where name = $1', [name])
        })
        return done
      },
    }),
    route({
      method: 'POST',
      url: '/increments',
      id: 'increment',
      summary: 'Read, then write, serializable',
      access: 'public',
      data: Done,
      handler: async () => {
        await db.tx(
          async (tx) => {
            const { rows } = await tx.query<{ value: number }>("select value from counters where name = 'a'", [])
            await tx.query("update counters set value = $1 where name = 'a'", [(rows[0]?.value ?? 0) + 1])
          },
          { isolation: 'serializable', attempts: 50 },
        )
        return done
      },
    }),
    route({
      method: 'POST',
      url: '/naps',
      id: 'nap',
      summary: 'Answer late, without the database',
      access: 'public',
      body: Pause,
      data: Done,
      handler: async ({ body: { ms } }) => {
        await clock.sleep(ms)
        return done
      },
    }),
    route({
      method: 'POST',
      url: '/spins',
      id: 'spin',
      summary: 'Block the event loop',
      access: 'public',
      body: Pause,
      data: Done,
      handler: ({ body: { ms } }) => {
        const end = clock.monotonic() + ms
        while (clock.monotonic() < end);
        return done
      },
    }),
  ],
})

export default defineConfig({ name: 'chaos', features: [ledger, payments(), idempotency()] })
