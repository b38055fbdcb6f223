import { randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { inspect } from 'node:util'
import { Admin, Consumer } from '@platformatic/kafka'
import { describe, expect, it } from 'vitest'
import { freePort } from '../../../testing/redis-server.ts'
import { loggedEvent, sinkContract } from '../contract.ts'
import type { StoredMessage } from '../contract.ts'
import { createSink } from '../create-sink.ts'
import { kafka } from '../drivers/kafka.ts'

const never = new AbortController().signal
const url = process.env['FORGE_TEST_KAFKA_URL']

async function messagesOf(brokers: string[], topics: string[]): Promise<StoredMessage[]> {
  const consumer = new Consumer({ clientId: 'contract', groupId: randomUUID(), bootstrapBrokers: brokers })
  const found: StoredMessage[] = []
  try {
    const stream = await consumer.consume({ topics, mode: 'earliest', autocommit: false })
    const idle = { timer: setTimeout(() => void stream.close(), 5000) }
    for await (const { topic, headers, value } of stream) {
      idle.timer.refresh()
      const texts = [...headers].map(([name, text]) => [name.toString(), text.toString()] as const)
      const attributes = Object.fromEntries(
        texts.flatMap(([name, text]) => (name.startsWith('ce_') ? [[name.slice(3), text]] : [])),
      )
      const body = value.toString()
      const id = attributes['id'] ?? (JSON.parse(body) as { id: string }).id
      found.push({ id, to: topic, contentType: new Map(texts).get('content-type')!, attributes, body })
    }
  } finally {
    await consumer.close(true)
  }
  return found
}

// Debian has no Kafka: the contract runs where a broker is named, and is not announced where none is.
if (url !== undefined)
  sinkContract({
    name: 'kafka',
    // What a broker refuses, the client reports of the batch as a whole; the broker named is not ours to kill.
    without: ['crash', 'refused'],
    create: async () => {
      const brokers = url.split(',').map((one) => new URL(one).host)
      const addresses = [`orders-${randomUUID()}`, `others-${randomUUID()}`] as const
      const admin = new Admin({ clientId: 'contract', bootstrapBrokers: brokers })
      await admin.createTopics({ topics: [...addresses], partitions: 3, replicas: 1 })
      return {
        driver: () => kafka({ url }),
        addresses,
        stored: () => messagesOf(brokers, [...addresses]),
        async [Symbol.asyncDispose]() {
          await admin.deleteTopics({ topics: [...addresses] })
          await admin.close()
        },
      }
    },
  })

describe('kafka without a broker', () => {
  it('says that it is away, of every event, and nothing of the password', async () => {
    const sink = createSink(kafka({ url: `kafka://app:hunter2@127.0.0.1:${await freePort()}` }), { deadlineMs: 5000 })
    const batch = [loggedEvent(), loggedEvent()]
    const error: unknown = await sink.publish(batch, never).catch((fault: unknown) => fault)
    expect(error).toMatchObject({ code: 'sinks.unavailable', unconfirmed: batch.map(({ id }) => id) })
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter2')
    await sink.close()
  })

  it('gives up a broker that takes the connection and never answers', async () => {
    const sockets = new Set<Socket>()
    const silent = createServer((socket) => void sockets.add(socket.on('error', () => undefined)))
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done))
    const { port } = silent.address() as AddressInfo
    const sink = createSink(kafka({ url: `kafka://127.0.0.1:${port}` }), { deadlineMs: 200 })
    const event = loggedEvent()
    await expect(sink.publish([event], never)).rejects.toMatchObject({
      code: 'sinks.unavailable',
      unconfirmed: [event.id],
    })
    await sink.close()
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  it('names the option that is wrong, not its value', () => {
    for (const wrong of ['http://a:hunter2@b', 'a:hunter2', ''])
      expect(() => kafka({ url: wrong })).toThrow(expect.objectContaining({ code: 'sinks.option_invalid' }))
  })
})
