// Fastify with its stock plugins: helmet, cors, jwt, under-pressure; prom-client; one pino line per request, written asynchronously.
import { randomUUID } from 'node:crypto'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import underPressure from '@fastify/under-pressure'
import Fastify, { LogController } from 'fastify'
import pino from 'pino'
import { findPerson, pool } from './by-hand.js'
import { audience, bodyLimit, healthSchema, issuer, orderSchema, origin, personSchema, port, secret } from './facts.js'
import { observe, render } from './metrics.js'

const log = pino({ base: undefined }, pino.destination({ dest: 1, sync: false, minLength: 4096 }))
const app = Fastify({
  bodyLimit,
  loggerInstance: log,
  logController: new LogController({ disableRequestLogging: true }),
  requestIdHeader: 'x-request-id',
  genReqId: () => randomUUID(),
  ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
})
await app.register(helmet)
await app.register(cors, { origin: [origin] })
// Ours sheds load too, at the same event-loop delay.
await app.register(underPressure, { maxEventLoopDelay: 1000 })
await app.register(jwt, { secret, verify: { allowedIss: issuer, allowedAud: audience, cache: true } })

app.addHook('onRequest', async (request, reply) => {
  reply.header('x-request-id', request.id)
})
app.addHook('onResponse', async (request, reply) => {
  const route = request.routeOptions.url ?? 'unknown'
  observe(request.method, route, reply.statusCode, reply.elapsedTime / 1000)
  log.info(
    {
      request_id: request.id,
      method: request.method,
      url: request.url,
      status: reply.statusCode,
      ms: reply.elapsedTime,
    },
    'request',
  )
})

const authenticate = async (request) => {
  await request.jwtVerify()
}
app.get('/healthz', { schema: { response: { 200: healthSchema } } }, async () => ({ status: 'ok' }))
app.get('/me', { onRequest: authenticate, schema: { response: { 200: personSchema } } }, async (request) =>
  findPerson(request.user.sub),
)
app.post('/echo', { schema: { body: orderSchema, response: { 200: orderSchema } } }, async (request) => request.body)
app.get('/metrics', async (request, reply) => reply.type('text/plain').send(await render()))

await pool.query('select 1')
await app.listen({ port, host: '127.0.0.1' })
process.on('SIGTERM', () => {
  log.flush()
  process.exit(0)
})
