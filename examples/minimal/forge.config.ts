import { defineConfig, defineFeature } from 'tsforge'
import { dbPort } from 'tsforge/db'
import { column, createRepository, defineTable } from 'tsforge/db/repository'
import { created, route } from 'tsforge/http'
import { Type, Uuid } from 'tsforge/schema'

const table = defineTable({ name: 'guests', columns: { name: column.text() }, softDelete: false, versioned: false })
const Guest = Type.Object({ id: Uuid, name: Type.String({ minLength: 1, maxLength: 80 }) })

const guestbook = defineFeature({
  name: 'guestbook',
  needs: { db: dbPort },
  migrations: { module: 'guestbook', directory: new URL('./migrations/', import.meta.url) },
  setup: ({ db }) => createRepository(table, db),
  routes: (guests) => [
    route({
      method: 'POST',
      url: '/guests',
      id: 'signGuestbook',
      summary: 'Sign the guestbook',
      access: 'public',
      body: Type.Pick(Guest, ['name']),
      status: 201,
      data: Guest,
      handler: async ({ body }) => created(await guests.insert(body)),
    }),
    route({
      method: 'GET',
      url: '/health',
      id: 'countGuests',
      summary: 'Whether guests can be counted',
      access: 'public',
      data: Type.Object({ guests: Type.Integer() }),
      handler: async () => ({ guests: await guests.count() }),
    }),
  ],
})

export default defineConfig({ name: 'guestbook', features: [guestbook] })
