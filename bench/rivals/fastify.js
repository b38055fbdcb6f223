// Bare Fastify: routes and schemas, no plugin, no log.
import Fastify from 'fastify'
import { findPerson, pool, subjectOf } from './by-hand.js'
import { bodyLimit, healthSchema, orderSchema, personSchema, port } from './facts.js'

const app = Fastify({ bodyLimit, ajv: { customOptions: { removeAdditional: false, coerceTypes: false } } })
app.get('/healthz', { schema: { response: { 200: healthSchema } } }, async () => ({ status: 'ok' }))
app.get('/me', { schema: { response: { 200: personSchema } } }, async (request, reply) => {
  const id = subjectOf(request.headers.authorization)
  if (id === undefined) return reply.code(401).send({ error: 'unauthorized' })
  return findPerson(id)
})
app.post('/echo', { schema: { body: orderSchema, response: { 200: orderSchema } } }, async (request) => request.body)

await pool.query('select 1')
await app.listen({ port, host: '127.0.0.1' })
