/** The app whose streams are measured: sessions, tenants, permissions and the log in PostgreSQL, as a product has them. */
import { createApp, defineConfig, defineFeature } from 'tsforge'
import { accounts } from 'tsforge/accounts'
import { dbPort } from 'tsforge/db'
import { defineEvent, eventsPort } from 'tsforge/events'
import { noContent, route } from 'tsforge/http'
import { defineTopic } from 'tsforge/realtime'
import { tenants } from 'tsforge/tenants'

const quiet = defineEvent<{ at: number }>({ type: 'quiet.happened' })
const loud = defineEvent<{ at: number }>({ type: 'loud.happened' })

const bench = defineFeature({
  name: 'bench',
  needs: { db: dbPort, events: eventsPort },
  permissions: { 'bench.read': { description: 'Follow', grantedTo: 'member' } },
  setup: ({ db, events }) => ({ db, events }),
  topics: () => [
    defineTopic({ name: 'quiet', events: quiet, audience: 'tenant', permission: 'bench.read' }),
    defineTopic({ name: 'loud', events: loud, audience: 'tenant', permission: 'bench.read' }),
  ],
  routes: ({ db, events }) =>
    [quiet, loud].map((type) =>
      route({
        method: 'POST',
        url: `/emit/${type.type.split('.')[0]!}`,
        id: `emit${type.type.split('.')[0]!}`,
        summary: 'Emits the time',
        access: 'bench.read',
        data: null,
        handler: async () => {
          // One clock for both processes of a machine.
          await db.tx((tx) => events.emit(tx, type, { at: performance.timeOrigin + performance.now() }))
          return noContent()
        },
      }),
    ),
})

const config = defineConfig({ name: 'bench', features: [accounts(), tenants(), bench] })
const app = await createApp({ config })
const { url } = await app.start()
console.error(`url ${url}`)
process.once('SIGTERM', () => void app.stop().then(() => process.exit(0)))
