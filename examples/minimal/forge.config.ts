import { defineConfig, defineFeature } from 'tsforge'
import { dbPort } from 'tsforge/db'
import { created, route } from 'tsforge/http'
import { uuidv7 } from 'tsforge/ids'
import { Type } from 'tsforge/schema'

const NewGuest = Type.Object({ name: Type.String({ minLength: 1, maxLength: 80 }) })
const Guest = Type.Object({ id: Type.String({ format: 'uuid' }), name: Type.String() })
interface GuestRow { readonly id: string; readonly name: string }

const guestbook = defineFeature({
  name: 'guestbook',
  needs: { db: dbPort },
  migrations: { module: 'guestbook', directory: new URL('./migrations/', import.meta.url) },
  setup: ({ db }) => db,
  routes: (db) => [
    route({
      method: 'POST', url: '/guests', id: 'signGuestbook', summary: 'Sign the guestbook', access: 'public',
      body: NewGuest, data: Guest, status: 201,
      async handler({ body }) {
        const { rows } = await db.query<GuestRow>('insert into guests (id, name) values ($1, $2) returning id, name', [uuidv7(), body.name])
        return created(rows[0] as GuestRow)
      },
    }),
    route({
      method: 'GET', url: '/health', id: 'guestbookHealth', summary: 'Whether guests can be counted', access: 'public',
      data: Type.Object({ guests: Type.Integer() }),
      async handler() {
        const { rows } = await db.query<{ guests: number }>('select count(*)::int as guests from guests')
        return rows[0] as { guests: number }
      },
    }),
  ],
})

export default defineConfig({ name: 'guestbook', features: [guestbook] })
