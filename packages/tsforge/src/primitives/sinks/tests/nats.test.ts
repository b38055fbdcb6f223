import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import type { NatsConnection } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import { hasNats, startNats } from '../../../testing/nats-server.ts'
import type { NatsServer } from '../../../testing/nats-server.ts'
import type { Sink } from '../../events/index.ts'
import { loggedEvent, sinkContract } from '../contract.ts'
import type { StoredMessage } from '../contract.ts'
import { createSink } from '../create-sink.ts'
import { nats } from '../drivers/nats.ts'
import { certificate } from './certificate.ts'

const never = new AbortController().signal
const create = { subjects: ['order.>', 'other.>'] }

async function messagesOf(url: string, stream: string): Promise<StoredMessage[]> {
  const connection = await connect({ servers: url, timeout: 30_000 })
  try {
    const manager = await jetstreamManager(connection, { timeout: 30_000 })
    const { state } = await manager.streams.info(stream)
    if (state.messages === 0) return []
    const consumer = await jetstream(connection).consumers.get(stream)
    const found: StoredMessage[] = []
    for await (const message of await consumer.fetch({ max_messages: state.messages, expires: 30_000 })) {
      const headers = message.headers!
      const attributes = Object.fromEntries(
        headers
          .keys()
          .filter((name) => name.startsWith('ce-'))
          .map((name) => [name.slice(3), decodeURIComponent(headers.get(name))]),
      )
      found.push({
        id: headers.get('Nats-Msg-Id'),
        to: message.subject,
        contentType: headers.get('Content-Type'),
        attributes,
        body: message.string(),
      })
    }
    return found
  } finally {
    await connection.close()
  }
}

describe.runIf(hasNats)('nats', () => {
  sinkContract({
    name: 'nats',
    create: async () => {
      const server = await startNats()
      return {
        driver: () => nats({ url: server.url, stream: 'facts', create }),
        addresses: ['order.placed', 'other.placed'],
        refused: 'foreign.subject',
        stored: () => messagesOf(server.url, 'facts'),
        crash: { kill: () => server.kill(), start: () => server.start() },
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      }
    },
  })

  describe('a stream', () => {
    let server: NatsServer
    let connection: NatsConnection
    beforeAll(async () => {
      server = await startNats()
      connection = await connect({ servers: server.url, timeout: 30_000 })
    })
    afterAll(async () => {
      await connection.close()
      await server[Symbol.asyncDispose]()
    })

    it('stores an event once that is published twice', async () => {
      const sink = createSink(nats({ connection, stream: 'once', create: { subjects: ['once'] } }), { to: 'once' })
      const batch = [loggedEvent(), loggedEvent()]
      await sink.publish(batch, never)
      await sink.publish(batch, never)
      expect(await messagesOf(server.url, 'once')).toHaveLength(2)
      await sink.close()
      expect(connection.isClosed()).toBe(false)
    })

    it('that is full refuses the events that it has no place for, by their ids', async () => {
      const full = { subjects: ['full'], max_msgs: 3, discard: 'new' as never }
      const sink = createSink(nats({ url: server.url, stream: 'full', create: full }), { to: 'full' })
      const batch = Array.from({ length: 5 }, () => loggedEvent({ partitionkey: 'a' }))
      await expect(sink.publish(batch, never)).rejects.toMatchObject({
        code: 'sinks.unconfirmed',
        unconfirmed: [batch[3]!.id, batch[4]!.id],
        cause: { message: 'maximum messages exceeded' },
      })
      await sink.close()
    })

    it('of another name confirms nothing', async () => {
      const manager = await jetstreamManager(connection, { timeout: 30_000 })
      await manager.streams.add({ name: 'foreign', subjects: ['theirs'] })
      const sink = createSink(nats({ url: server.url, stream: 'mine' }), { to: 'theirs' })
      const event = loggedEvent()
      await expect(sink.publish([event], never)).rejects.toMatchObject({ unconfirmed: [event.id] })
      expect(await messagesOf(server.url, 'foreign')).toEqual([])
      await sink.close()
    })

    it('that was deleted is made again', async () => {
      const sink = createSink(nats({ url: server.url, stream: 'again', create: { subjects: ['again'] } }), {
        to: 'again',
      })
      await sink.publish([loggedEvent()], never)
      await (await jetstreamManager(connection, { timeout: 30_000 })).streams.delete('again')
      const event = loggedEvent()
      await expect(sink.publish([event], never)).rejects.toMatchObject({ code: 'sinks.unconfirmed' })
      await sink.publish([event], never)
      expect(await messagesOf(server.url, 'again')).toHaveLength(1)
      await sink.close()
    })

    it('refuses an event that is larger than the server takes, and stores its neighbours', async () => {
      const sink = createSink(nats({ url: server.url, stream: 'large', create: { subjects: ['large'] } }), {
        to: 'large',
      })
      const large = loggedEvent({ data: 'x'.repeat(2 ** 20 + 1) })
      await expect(sink.publish([loggedEvent(), large, loggedEvent()], never)).rejects.toMatchObject({
        code: 'sinks.unconfirmed',
        unconfirmed: [large.id],
      })
      expect(await messagesOf(server.url, 'large')).toHaveLength(2)
      await sink.close()
    })

    it('takes no subject that would speak to the server', async () => {
      const sink = createSink(nats({ url: server.url, stream: 'once', create: { subjects: ['once'] } }), {
        to: 'once\r\nPUB once 1\r\nx',
      })
      await expect(sink.publish([loggedEvent()], never)).rejects.toMatchObject({ code: 'sinks.unconfirmed' })
      await sink.close()
    })
  })

  it('gives up a server that hangs when the time is up, and comes back on a new connection', async () => {
    await using server = await startNats()
    const clock = createFakeClock()
    const sink = createSink(nats({ url: server.url, stream: 'facts', create }), { clock, deadlineMs: 300 })
    await sink.publish([loggedEvent()], never)
    server.pause()
    const batch = Array.from({ length: 50 }, () => loggedEvent())
    const hanging = expect(sink.publish(batch, never)).rejects.toMatchObject({
      code: 'sinks.unavailable',
      unconfirmed: batch.map(({ id }) => id),
    })
    await clock.advance(300)
    await hanging
    server.resume()
    await expect.poll(() => sink.publish(batch, never).then(() => 'sent', String)).toBe('sent')
    expect(await messagesOf(server.url, 'facts')).toHaveLength(51)
    await sink.close()
  })

  it('connects anew when the server dies before the stream is made sure of', async () => {
    let connections = 0
    const info = JSON.stringify({
      server_id: 'dying',
      version: '2.9.10',
      headers: true,
      max_payload: 1_048_576,
      proto: 1,
    })
    const dying = createServer((socket) => {
      connections++
      socket.on('error', () => undefined)
      socket.write(`INFO ${info}\r\n`)
      socket.on('data', (bytes) => {
        if (bytes.includes('$JS.API')) socket.destroy()
        else if (bytes.includes('PING')) socket.write('PONG\r\n')
      })
    })
    await once(dying.listen(0, '127.0.0.1'), 'listening')
    const { port } = dying.address() as AddressInfo
    const sink = createSink(nats({ url: `nats://127.0.0.1:${port}`, stream: 'facts', create }))
    const tries = async (): Promise<number> => {
      await expect(sink.publish([loggedEvent()], never)).rejects.toMatchObject({ code: 'sinks.unavailable' })
      return connections
    }
    await expect.poll(tries).toBeGreaterThan(2)
    await sink.close()
    await once(dying.close(), 'close')
  })

  it('logs in by the URL, and says nothing of the password when it is wrong', async () => {
    await using server = await startNats({ config: 'authorization { user: "app", password: "p@ss/word" }' })
    const urlWith = (password: string): string => `nats://app:${encodeURIComponent(password)}@127.0.0.1:${server.port}`
    const sink = createSink(nats({ url: urlWith('p@ss/word'), stream: 'facts', create }))
    await sink.publish([loggedEvent()], never)
    await sink.close()
    const wrong = createSink(nats({ url: urlWith('hunter2!'), stream: 'facts', create }))
    const error: unknown = await wrong.publish([loggedEvent()], never).catch((fault: unknown) => fault)
    expect(error).toMatchObject({ code: 'sinks.unavailable' })
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter2')
    await wrong.close()
  })

  it('speaks TLS, and to no server that it cannot trust', async () => {
    using cert = certificate()
    const config = `tls { cert_file: "${cert.certFile}", key_file: "${cert.keyFile}" }`
    await using server = await startNats({ config })
    using addressed = certificate('IP:127.0.0.1')
    const { certFile, keyFile } = addressed
    await using byAddress = await startNats({ config: `tls { cert_file: "${certFile}", key_file: "${keyFile}" }` })
    await using plain = await startNats()
    const sinkAt = (host: string, ca?: string): Sink =>
      createSink(nats({ url: `tls://${host}`, stream: 'facts', create, ...(ca !== undefined && { tls: { ca } }) }))
    const trusted = [sinkAt(`localhost:${server.port}`, cert.ca), sinkAt(`127.0.0.1:${byAddress.port}`, addressed.ca)]
    for (const sink of trusted) {
      await sink.publish([loggedEvent()], never)
      await sink.close()
    }
    for (const sink of [
      sinkAt(`localhost:${byAddress.port}`, addressed.ca),
      sinkAt(`localhost:${server.port}`),
      sinkAt(`127.0.0.1:${server.port}`, cert.ca),
      // Who asks for TLS gets no plain connection.
      sinkAt(`localhost:${plain.port}`, cert.ca),
    ]) {
      await expect(sink.publish([loggedEvent()], never)).rejects.toMatchObject({ code: 'sinks.unavailable' })
      await sink.close()
    }
  })

  it('names the option that is wrong, not its value', () => {
    for (const url of ['http://a:hunter2@b', 'a:hunter2', ''])
      expect(() => nats({ url, stream: 'facts' })).toThrow(expect.objectContaining({ code: 'sinks.option_invalid' }))
  })
})
