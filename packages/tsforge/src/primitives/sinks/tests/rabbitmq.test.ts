import { inspect } from 'node:util'
import { connect } from 'amqplib'
import type { ChannelModel } from 'amqplib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { freePort } from '../../../testing/redis-server.ts'
import { hasRabbitmq, startRabbitmq } from '../../../testing/rabbitmq-server.ts'
import type { RabbitmqServer } from '../../../testing/rabbitmq-server.ts'
import { startTcpProxy } from '../../../testing/tcp-proxy.ts'
import type { Sink } from '../../events/index.ts'
import { loggedEvent, sinkContract } from '../contract.ts'
import type { StoredMessage } from '../contract.ts'
import { createSink } from '../create-sink.ts'
import { rabbitmq } from '../drivers/rabbitmq.ts'
import { certificate } from './certificate.ts'
import type { Certificate } from './certificate.ts'

const never = new AbortController().signal
const create = { type: 'topic' } as const

async function opened(url: string): Promise<ChannelModel> {
  const model = await connect(url)
  return model.on('error', () => undefined)
}

/** Takes all messages of a queue and puts them back in their order. */
async function messagesOf(url: string, queue: string): Promise<StoredMessage[]> {
  const model = await opened(url)
  const channel = await model.createChannel()
  const found: StoredMessage[] = []
  for (;;) {
    const message = await channel.get(queue)
    if (message === false) break
    const { messageId, contentType, headers } = message.properties
    const attributes = Object.fromEntries(
      Object.entries(headers ?? {}).map(([name, value]) => [name.replace(/^cloudEvents_/, ''), String(value)]),
    )
    const to = message.fields.routingKey
    found.push({
      id: String(messageId),
      to,
      contentType: String(contentType),
      attributes,
      body: message.content.toString(),
    })
  }
  await model.close()
  return found
}

describe.runIf(hasRabbitmq)('rabbitmq', () => {
  let server: RabbitmqServer
  let cert: Certificate
  let tlsPort: number
  const queue = async (name: string, binding: string, settings: object = {}): Promise<void> => {
    const model = await opened(server.url)
    const channel = await model.createChannel()
    await channel.assertExchange('facts', 'topic', { durable: true })
    await channel.assertQueue(name, { durable: true, ...settings })
    await channel.bindQueue(name, 'facts', binding)
    await model.close()
  }
  beforeAll(async () => {
    cert = certificate()
    tlsPort = await freePort()
    const files = `ssl_options.certfile = ${cert.certFile}\nssl_options.keyfile = ${cert.keyFile}`
    server = await startRabbitmq({
      config: `listeners.ssl.1 = 127.0.0.1:${tlsPort}\n${files}\nssl_options.verify = verify_none`,
    })
  }, 180_000)
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    cert[Symbol.dispose]()
  }, 30_000)

  sinkContract({
    name: 'rabbitmq',
    create: async () => {
      await queue('all', 'contract.*')
      return {
        driver: () => rabbitmq({ url: server.url, exchange: 'facts', create }),
        addresses: ['contract.orders', 'contract.others'],
        refused: 'nobody.listens',
        stored: () => messagesOf(server.url, 'all'),
        crash: { kill: () => server.kill(), start: () => server.start() },
        [Symbol.asyncDispose]: async () => undefined,
      }
    },
  })

  it('names the events that a full queue rejects', async () => {
    await queue('short', 'short', { arguments: { 'x-max-length': 2, 'x-overflow': 'reject-publish' } })
    const sink = createSink(rabbitmq({ url: server.url, exchange: 'facts' }), { to: 'short' })
    const batch = Array.from({ length: 6 }, () => loggedEvent({ partitionkey: 'a' }))
    const error: unknown = await sink.publish(batch, never).catch((fault: unknown) => fault)
    const kept = (await messagesOf(server.url, 'short')).map(({ id }) => id)
    expect(error).toMatchObject({
      code: 'sinks.unconfirmed',
      unconfirmed: batch.map(({ id }) => id).filter((id) => !kept.includes(id)),
    })
    expect(kept.length).toBeLessThan(batch.length)
    await sink.close()
  })

  it('confirms nothing where there is no exchange, and begins once there is one', async () => {
    const sink = createSink(rabbitmq({ url: server.url, exchange: 'later' }), { to: 'x' })
    const event = loggedEvent()
    await expect(sink.publish([event], never)).rejects.toMatchObject({ unconfirmed: [event.id] })
    const model = await opened(server.url)
    const channel = await model.createChannel()
    await channel.assertExchange('later', 'fanout')
    await channel.assertQueue('later')
    await channel.bindQueue('later', 'later', '')
    await model.close()
    await sink.publish([event], never)
    expect(await messagesOf(server.url, 'later')).toHaveLength(1)
    await sink.close()
  })

  it('uses a connection of yours, which stays open, and makes a channel anew', async () => {
    await queue('live', 'live')
    const connection = await opened(server.url)
    const sink = createSink(rabbitmq({ connection, exchange: 'facts' }), { to: 'live' })
    await sink.publish([loggedEvent()], never)
    const other = createSink(rabbitmq({ connection, exchange: 'absent' }), { to: 'live' })
    await expect(other.publish([loggedEvent()], never)).rejects.toMatchObject({ unconfirmed: [expect.any(String)] })
    await sink.publish([loggedEvent()], never)
    await sink.close()
    await other.close()
    await (await connection.createChannel()).close()
    await connection.close()
    expect(await messagesOf(server.url, 'live')).toHaveLength(2)
  })

  it('gives up a broker that hangs when the time is up, and comes back on a new connection', async () => {
    await queue('slow', 'slow')
    await using proxy = await startTcpProxy(server.port)
    const url = `amqp://guest:guest@127.0.0.1:${proxy.port}`
    const clock = createFakeClock()
    const sink = createSink(rabbitmq({ url, exchange: 'facts' }), { to: 'slow', clock, deadlineMs: 500 })
    await expect.poll(() => sink.publish([loggedEvent()], never).then(() => 'sent', String)).toBe('sent')
    proxy.set({ kind: 'blackhole' })
    const batch = [loggedEvent(), loggedEvent()]
    const hanging = expect(sink.publish(batch, never)).rejects.toMatchObject({
      unconfirmed: batch.map(({ id }) => id),
    })
    await clock.advance(500)
    await hanging
    proxy.set({ kind: 'open' })
    await expect.poll(() => sink.publish(batch, never).then(() => 'sent', String)).toBe('sent')
    await sink.close()
  })

  it('speaks TLS, and to no server that it cannot trust', async () => {
    await queue('secret', 'secret')
    const sinkAt = (host: string, ca?: string): Sink =>
      createSink(
        rabbitmq({
          url: `amqps://guest:guest@${host}:${tlsPort}`,
          exchange: 'facts',
          ...(ca !== undefined && { tls: { ca } }),
        }),
        { to: 'secret' },
      )
    const trusted = sinkAt('localhost', cert.ca)
    await trusted.publish([loggedEvent()], never)
    expect(await messagesOf(server.url, 'secret')).toHaveLength(1)
    await trusted.close()
    for (const sink of [sinkAt('localhost'), sinkAt('127.0.0.1', cert.ca)]) {
      await expect(sink.publish([loggedEvent()], never)).rejects.toMatchObject({ code: 'sinks.unavailable' })
      await sink.close()
    }
  })

  it('says nothing of the password when it is wrong', async () => {
    const wrong = createSink(rabbitmq({ url: `amqp://guest:hunter2@127.0.0.1:${server.port}`, exchange: 'facts' }))
    const error: unknown = await wrong.publish([loggedEvent()], never).catch((fault: unknown) => fault)
    expect(error).toMatchObject({ code: 'sinks.unavailable' })
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter2')
    await wrong.close()
  })
})
