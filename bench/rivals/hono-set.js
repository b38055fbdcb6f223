// Hono on its Node server with its own middleware, prom-client, Zod, and one pino line per request.
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { cors } from 'hono/cors'
import { jwt } from 'hono/jwt'
import { requestId } from 'hono/request-id'
import { secureHeaders } from 'hono/secure-headers'
import { validator } from 'hono/validator'
import pino from 'pino'
import { findPerson, pool } from './by-hand.js'
import { bodyLimit as maxSize, audience, issuer, origin, port, secret } from './facts.js'
import { observe, render } from './metrics.js'
import { order } from './order-zod.js'

const log = pino({ base: undefined }, pino.destination({ dest: 1, sync: false, minLength: 4096 }))
const app = new Hono()

app.use(requestId())
app.use(async (c, next) => {
  const begun = performance.now()
  await next()
  const ms = performance.now() - begun
  observe(c.req.method, c.req.path, c.res.status, ms / 1000)
  log.info(
    { request_id: c.get('requestId'), method: c.req.method, url: c.req.path, status: c.res.status, ms },
    'request',
  )
})
app.use(secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'self'"], frameAncestors: ["'self'"] } }))
app.use(cors({ origin: [origin] }))

app.get('/healthz', (c) => c.json({ status: 'ok' }))
app.get('/me', jwt({ secret, alg: 'HS256', verification: { iss: issuer, aud: audience } }), async (c) =>
  c.json(await findPerson(c.get('jwtPayload').sub)),
)
app.post(
  '/echo',
  bodyLimit({ maxSize }),
  validator('json', (value, c) => {
    const parsed = order.safeParse(value)
    return parsed.success ? parsed.data : c.json({ error: parsed.error.issues }, 400)
  }),
  (c) => c.json(c.req.valid('json')),
)
app.get('/metrics', async (c) => c.text(await render()))

await pool.query('select 1')
serve({ fetch: app.fetch, port, hostname: '127.0.0.1' })
process.on('SIGTERM', () => {
  log.flush()
  process.exit(0)
})
