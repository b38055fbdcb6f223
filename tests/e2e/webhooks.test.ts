import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { standard } from 'tsforge/signatures'
import { cheapHashes, register } from './people.ts'
import { appFolder, eventually, launch } from './product.ts'
import type { AppFolder, Product } from './product.ts'

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

const received: Received[] = []
const customer = createServer((request, response) => {
  void buffer(request).then((body) => {
    received.push({ headers: request.headers, body: body.toString('utf8') })
    // The first time it is not well.
    response.writeHead(received.length === 1 ? 500 : 204).end()
  })
})
let folder: AppFolder
let product: Product
let port: number
beforeAll(async () => {
  customer.listen(0, '127.0.0.1')
  await once(customer, 'listening')
  port = (customer.address() as AddressInfo).port
  folder = await appFolder()
  product = await launch({
    root: folder.root,
    env: {
      ...cheapHashes,
      FORGE_EGRESS_SCHEMES: 'http',
      FORGE_EGRESS_PORTS: String(port),
      FORGE_EGRESS_ALLOWED_NETWORKS: '127.0.0.1/32',
      FORGE_WEBHOOKS_SCHEDULE: '1s',
    },
  })
})
afterAll(async () => {
  await product[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
  customer.closeAllConnections()
  customer.close()
})

it('a note that is written arrives at the server of a customer, signed, also when that failed at first', async () => {
  const { body } = await register(product)
  const token = body.data.tokens.access_token
  const endpoint = await product.ask<{ id: string; secret: { secret: string } }>('POST', '/api/v1/webhooks/endpoints', {
    token,
    body: { url: `http://127.0.0.1:${port}/hooks`, events: ['note.*'] },
  })
  expect(endpoint.status).toBe(201)
  const { id, secret } = endpoint.body.data
  const note = await product.ask<{ id: string }>('POST', '/api/v1/notes', {
    token,
    body: { title: 'One', body: 'text' },
  })
  expect(note.status).toBe(201)
  await eventually(() => received.length === 2)
  const [first, second] = received
  expect(second!.body).toBe(first!.body)
  expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id'])
  const verdict = standard.verify(standard.key(secret.secret), { ...second!, nowMs: Date.now() })
  expect(verdict).toMatchObject({ ok: true, id: second!.headers['webhook-id'] })
  expect(JSON.parse(second!.body)).toMatchObject({
    type: 'note.created',
    data: { id: note.body.data.id, title: 'One' },
  })
  const state = async (): Promise<unknown> => {
    const listed = await product.ask('GET', `/api/v1/webhooks/endpoints/${id}/deliveries`, { token })
    return listed.body.data
  }
  await eventually(async () => JSON.stringify(await state()).includes('succeeded'))
  expect(await state()).toMatchObject({ items: [{ state: 'succeeded', attempts: 2, last_status: 204 }] })
})
