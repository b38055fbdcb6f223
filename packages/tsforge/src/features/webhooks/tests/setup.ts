import { once } from 'node:events'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { TlsOptions } from 'node:tls'
import { vi } from 'vitest'
import { defineEvent } from '../../../primitives/events/index.ts'
import type { EventType } from '../../../primitives/events/index.ts'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp, TestAppInput, TestUser } from '../../../testing/app.ts'
import { accounts } from '../../accounts/index.ts'
import type { Client } from '../../../testing/client.ts'
import { webhooks } from '../index.ts'

export const orderPlaced: EventType<{ readonly id: string }> = defineEvent<{ readonly id: string }>({
  type: 'order.placed',
  subject: ({ id }) => id,
  description: 'Somebody has bought something',
})
export const orderShipped: EventType = defineEvent({ type: 'order.shipped' })
export const userAdded: EventType = defineEvent({ type: 'user.added' })

/** Of the app alone: no customer may ask for it. */
export const secretEvent: EventType = defineEvent({ type: 'order.fraud_suspected' })

/** A request that the customer got. */
export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** The server of a customer, on loopback. */
export interface Customer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly received: Received[]
  /** What it answers from now on. */
  answer: (request: Received, response: ServerResponse) => unknown
}

export async function customer(tls?: TlsOptions): Promise<Customer> {
  const received: Received[] = []
  const take = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = (await buffer(message)).toString('utf8')
    const request = { path: message.url!, headers: message.headers, body }
    received.push(request)
    await own.answer(request, response)
  }
  const listener = (message: IncomingMessage, response: ServerResponse): void =>
    void take(message, response).catch(() => response.destroy())
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener)
  // Not while a request may be on its way on a connection that is used again.
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const own: Customer = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/hooks`,
    port,
    received,
    answer: (_, response) => response.writeHead(204).end(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return own
}

/** Answers with this from now on. */
export function says(to: Customer, status: number, headers: Record<string, string> = {}, body = ''): void {
  to.answer = (_, response) => response.writeHead(status, headers).end(body)
}

/** An app whose egress may reach these customers and nothing else on loopback. */
export function webhookApp(
  to: readonly Pick<Customer, 'port'>[],
  { env = {}, features = [], ...input }: TestAppInput = {},
): Promise<TestApp> {
  return createTestApp({
    ...input,
    features: [accounts(), webhooks({ events: [orderPlaced, orderShipped, userAdded] as never }), ...features],
    env: {
      FORGE_EGRESS_SCHEMES: 'http',
      FORGE_EGRESS_PORTS: to.map(({ port }) => port).join(',') || '80',
      FORGE_EGRESS_ALLOWED_NETWORKS: '127.0.0.1/32',
      ...env,
    },
  })
}

/** Nothing of an earlier test is left, and the customer is well: the app and its time go on, since starting one takes long. */
export async function anew(app: TestApp, shop: Customer): Promise<void> {
  await app.db.query('truncate forge_webhooks_endpoints, forge_webhooks_messages cascade')
  await app.db.query('delete from forge_jobs')
  shop.received.length = 0
  says(shop, 204)
}

/** Runs `verify` at the app's time: clients of others ask the machine for it. */
export function atTimeOf<T>(app: TestApp, verify: () => T): T {
  vi.useFakeTimers({ toFake: ['Date'], now: app.clock.now() })
  try {
    return verify()
  } finally {
    vi.useRealTimers()
  }
}

/** Somebody who signs in again whenever the test has gone through time. */
export type Owner = Pick<Client, 'get' | 'post' | 'patch' | 'delete'>

export async function ownerOf(app: TestApp): Promise<Owner> {
  let user = await app.register()
  let at = app.clock.now()
  const fresh = async (): Promise<TestUser> => {
    if (app.clock.now() - at > 60_000) {
      user = await app.login(user)
      at = app.clock.now()
    }
    return user
  }
  return {
    get: async (...call) => (await fresh()).get(...call),
    post: async (...call) => (await fresh()).post(...call),
    patch: async (...call) => (await fresh()).patch(...call),
    delete: async (...call) => (await fresh()).delete(...call),
  }
}

export interface EndpointBody {
  readonly id: string
  readonly version: number
  readonly enabled: boolean
  readonly disabled_reason: string | null
  readonly secret: { readonly secret: string; readonly public_key: string | null; readonly until: string | null }
}

export async function endpoint(
  owner: Owner,
  to: Pick<Customer, 'url'>,
  more: Record<string, unknown> = {},
): Promise<EndpointBody> {
  const { status, body } = await owner.post<EndpointBody>('/api/v1/webhooks/endpoints', {
    url: to.url,
    events: ['*'],
    ...more,
  })
  if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`)
  return body.data
}

export interface DeliveryBody {
  readonly id: string
  readonly state: string
  readonly attempts: number
  readonly type: string
  readonly event_id: string
  readonly message_id: string
  readonly next_at: string | null
  readonly last_status: number | null
  readonly last_error: string | null
}

export async function deliveries(owner: Owner, endpointId: string, query = ''): Promise<readonly DeliveryBody[]> {
  const { body } = await owner.get<{ items: DeliveryBody[] }>(
    `/api/v1/webhooks/endpoints/${endpointId}/deliveries${query}`,
  )
  return body.data.items
}

export async function tenantOf(user: Owner): Promise<string> {
  return (await user.get<{ items: { id: string }[] }>('/api/v1/tenants')).body.data.items[0]!.id
}
