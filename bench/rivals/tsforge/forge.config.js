// Ours: the built package, the whole set on, accounts and tenants included. Three routes of an app.
import { defineConfig, defineFeature } from 'tsforge'
import { accounts } from 'tsforge/accounts'
import { dbPort } from 'tsforge/db'
import { route } from 'tsforge/http'
import { Type } from 'tsforge/schema'

const Person = Type.Object({
  id: Type.String(),
  name: Type.String(),
  email: Type.String(),
  created_at: Type.String({ format: 'date-time' }),
})
const Item = Type.Object(
  {
    sku: Type.String({ minLength: 1, maxLength: 40 }),
    quantity: Type.Integer({ minimum: 1, maximum: 1000 }),
    price: Type.Number({ minimum: 0 }),
  },
  { additionalProperties: false },
)
const Order = Type.Object(
  {
    title: Type.String({ minLength: 1, maxLength: 200 }),
    email: Type.String({ minLength: 3, maxLength: 254, pattern: '^[^@\\s]+@[^@\\s]+$' }),
    active: Type.Boolean(),
    tags: Type.Array(Type.String({ maxLength: 40 }), { maxItems: 20 }),
    items: Type.Array(Item, { maxItems: 50 }),
    note: Type.String({ maxLength: 2000 }),
  },
  { additionalProperties: false },
)

// Users of ours have ids of their own: the row is found by a key made from the first digits of the user's id.
const keyOf = (userId) =>
  `00000000-0000-4000-8000-000000000${String(Number.parseInt(userId.slice(-4), 16) % 1000).padStart(3, '0')}`

const bench = defineFeature({
  name: 'bench',
  needs: { db: dbPort },
  setup: ({ db }) => db,
  routes: (db) => [
    route({
      method: 'GET',
      url: '/me',
      id: 'benchPerson',
      summary: 'The row of the caller',
      access: 'authenticated',
      etag: false,
      data: Person,
      handler: async ({ actor }) =>
        (await db.query('select id, name, email, created_at from bench_people where id = $1', [keyOf(actor.id)]))
          .rows[0],
    }),
    route({
      method: 'POST',
      url: '/echo',
      id: 'benchEcho',
      summary: 'The order again',
      access: 'public',
      body: Order,
      data: Order,
      handler: ({ body }) => body,
    }),
  ],
})

export default defineConfig({ name: 'bench', version: '1.0.0', features: [accounts(), bench] })
