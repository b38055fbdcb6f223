import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { reply, route } from '../index.ts'
import type { Route } from '../index.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'
import type { Lab, LabSettings } from './fixture.ts'
import { statuses, wire } from './wire.ts'

afterEach(closeLabs)

const ping = route({
  method: 'GET',
  url: '/ping',
  id: 'ping',
  summary: 'Ping',
  access: 'public',
  data: Type.Object({ ok: Type.Boolean() }),
  handler: () => ({ ok: true }),
})
const echo = route({
  method: 'POST',
  url: '/echo',
  id: 'echo',
  summary: 'Echo',
  access: 'public',
  body: Type.Object({ text: Type.String({ maxLength: 100_000 }) }),
  data: Type.Object({ text: Type.String() }),
  limits: { bodyBytes: 50_000 },
  handler: ({ body }) => body,
})

async function serve(settings: LabSettings = {}): Promise<Lab & { origin: string }> {
  const made = await lab([ping, echo], settings)
  return { ...made, origin: await made.http.listen({ host: '127.0.0.1', port: 0 }) }
}

describe('requests that servers could read differently', () => {
  const body = '{"text":"x"}'
  const hostile: Record<string, string> = {
    'Content-Length and Transfer-Encoding': `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'two different Content-Lengths': `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 12\r\nContent-Length: 13\r\n\r\n${body}`,
    'the same Content-Length twice': `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 12\r\nContent-Length: 12\r\n\r\n${body}`,
    'an unknown Transfer-Encoding': `POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    'a space before the colon': `POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    'a folded header': `GET /ping HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n`,
    'bare line feeds': `GET /ping HTTP/1.1\nHost: a\n\n`,
    'a bad chunk size': `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
    'a negative Content-Length': `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n`,
    'no Host': `GET /ping HTTP/1.1\r\n\r\n`,
    'two Hosts': `GET /ping HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`,
    'an absolute target': `GET http://evil.example/ping HTTP/1.1\r\nHost: a\r\n\r\n`,
    'no version (HTTP/0.9)': `GET /ping\r\n\r\n`,
    'an unknown method': `BREW /ping HTTP/1.1\r\nHost: a\r\n\r\n`,
    'no HTTP at all': `\x16\x03\x01\x02\x00hello\r\n\r\n`,
  }
  for (const [name, bytes] of Object.entries(hostile)) {
    it(`answers 400 and closes the connection: ${name}`, async () => {
      const { origin, lines } = await serve()
      const smuggled = 'GET /ping HTTP/1.1\r\nHost: a\r\n\r\n'
      const answer = await wire(origin, bytes + smuggled)
      expect(statuses(answer)).toEqual([400])
      expect(answer).toMatch(/connection: close/i)
      expect(answer).toContain('"success":false')
      expect(answer).toMatch(/x-request-id: [0-9a-f]{32}/)
      expect(lines.map((line) => line['status'])).toEqual([400])
    })
  }

  it('refuses CONNECT and TRACE', async () => {
    const { origin } = await serve()
    expect(statuses(await wire(origin, 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n'))).toEqual([405])
    expect(statuses(await wire(origin, 'TRACE /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))).toEqual([405])
  })

  it('answers 417 to unknown expectations and 100 only to callers that it lets in', async () => {
    const { origin } = await serve()
    expect(statuses(await wire(origin, 'GET /ping HTTP/1.1\r\nHost: a\r\nExpect: a-pony\r\n\r\n'))).toEqual([417])
    const welcome = `POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n${body}`
    expect(statuses(await wire(origin, welcome))).toEqual([100, 200])
    const tooLong =
      'POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n'
    expect(statuses(await wire(origin, tooLong, /\}$/))).toEqual([413])
  })
})

describe('limits', () => {
  it('answers 431 to oversized headers, in the envelope', async () => {
    const { origin, lines } = await serve({ options: { headerLimitBytes: 8192 } })
    const answer = await wire(origin, `GET /ping HTTP/1.1\r\nHost: a\r\nX-Tenant-ID: ${'a'.repeat(10_000)}\r\n\r\n`)
    expect(statuses(answer)).toEqual([431])
    expect(answer).toContain('"code":"http.headers_too_large"')
    expect(lines.map((line) => line['status'])).toEqual([431])
  })

  it('lets the caller of a too large body read the 413, announced or not', async () => {
    const { origin } = await serve()
    const text = JSON.stringify({ text: 'x'.repeat(200_000) })
    const announced = await wire(
      origin,
      `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    )
    expect(statuses(announced)).toEqual([413])
    expect(announced).toContain('"limit":50000')
    const chunked = await wire(
      origin,
      `POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
    )
    expect(statuses(chunked)).toEqual([413])
    expect(chunked).toMatch(/connection: close/i)
  })

  it('writes one line of plain ASCII, whatever bytes the path has', async () => {
    const { origin, rawLines } = await serve()
    await wire(
      origin,
      Buffer.from(
        `GET /"},{"level":"\\${'$'}{jndi:x}${'a'.repeat(5000)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
        'latin1',
      ),
    )
    expect(rawLines).toHaveLength(1)
    expect(rawLines[0]).toMatch(/^\{[\x20-\x7e]*\}\n$/)
    expect(rawLines[0]!.length).toBeLessThan(2500)
    const line = JSON.parse(rawLines[0]!) as Record<string, unknown>
    expect([line['level'], String(line['path']).startsWith('/"},{"level":"\\')]).toEqual(['info', true])
  })

  it('answers pipelined requests in order, each with its own id', async () => {
    const { origin } = await serve()
    const one = (id: string, last = false): string =>
      `GET /ping HTTP/1.1\r\nHost: a\r\nX-Request-ID: ${id}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`
    const answer = await wire(origin, one('first') + one('second') + one('third', true))
    expect([...answer.matchAll(/x-request-id: (\w+)/g)].map((match) => match[1])).toEqual(['first', 'second', 'third'])
  })

  it('reads a body that arrives byte by byte', async () => {
    const { origin } = await serve()
    const body = Buffer.from('{"text":"h\u00e9llo \u{1f600}"}')
    const head = `POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
    const answer = await wire(origin, [head, ...[...body].map((byte) => Buffer.from([byte]))])
    expect(Buffer.from(answer, 'latin1').toString()).toContain('h\u00e9llo \u{1f600}')
  })

  it('writes one line for a caller who leaves in the middle of a body', async () => {
    const { http, origin, lines } = await serve()
    const arrived = once(http.fastify.server, 'request')
    const socket = connect(Number(new URL(origin).port), '127.0.0.1')
    socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"te')
    await arrived
    await fetch(`${origin}/ping`)
    expect(lines).toMatchObject([{ status: 200 }])
    socket.destroy()
    await until(() => lines.length === 2)
    expect(lines[1]).toMatchObject({ status: 499, aborted: true, route: '/echo' })
  })
})

describe('a handler', () => {
  it('sees its signal abort when the caller leaves; one line, no error in the log', async () => {
    let aborted = false
    let arrive = (): void => {}
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    const wait = route({
      method: 'GET',
      url: '/wait',
      id: 'wait',
      summary: 'Wait',
      access: 'public',
      data: Type.Object({}),
      handler: ({ signal }) =>
        new Promise<object>((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true
            reject(signal.reason as Error)
          })
          arrive()
        }),
    })
    const { http, lines, logged, metrics } = await lab([wait])
    const origin = await http.listen({ host: '127.0.0.1', port: 0 })
    const socket = connect(Number(new URL(origin).port), '127.0.0.1')
    socket.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n')
    await arrived
    socket.destroy()
    await until(() => lines.length === 1)
    expect([aborted, lines[0]!['status'], lines[0]!['aborted'], logged]).toEqual([true, 499, true, []])
    expect(metrics.render()).toContain('http_requests_in_flight 0')
  })

  it('may take the reply into its own hands; the books are kept all the same', async () => {
    const stream = route({
      method: 'GET',
      url: '/stream',
      id: 'stream',
      summary: 'Stream',
      access: 'public',
      data: null,
      handler: ({ raw: { reply } }) => {
        reply.hijack()
        reply.raw.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' })
        reply.raw.write('data: 1\n\n')
        reply.raw.end('data: 2\n\n')
        return undefined as never
      },
    })
    const { http, lines, metrics } = await lab([stream])
    const origin = await http.listen({ host: '127.0.0.1', port: 0 })
    expect(await (await fetch(`${origin}/stream`)).text()).toBe('data: 1\n\ndata: 2\n\n')
    await until(() => lines.length === 1)
    expect(lines[0]).toMatchObject({ status: 200, route: '/stream' })
    expect(metrics.render()).toContain('http_requests_in_flight 0')
  })

  it('cannot split the answer with a header of its own', async () => {
    const split = route({
      method: 'GET',
      url: '/split',
      id: 'split',
      summary: 'Split',
      access: 'public',
      data: Type.Object({}),
      handler: () => reply({}, { headers: { 'x-a': 'b\r\nset-cookie: c=d' } }),
    })
    const { http, logged } = await lab([split])
    const origin = await http.listen({ host: '127.0.0.1', port: 0 })
    const answer = await wire(origin, 'GET /split HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(statuses(answer)).toEqual([500])
    expect(answer).not.toContain('set-cookie')
    expect(logged).toHaveLength(1)
  })
})

describe('slow callers', () => {
  it('have limits for headers and requests', async () => {
    const { http } = await serve({
      options: { headersTimeoutMs: 10_000, receiveTimeoutMs: 30_000, keepAliveMs: 20_000, requestTimeoutMs: 30_000 },
    })
    const { headersTimeout, requestTimeout, keepAliveTimeout, maxConnections, maxHeadersCount } = http.fastify.server
    expect([headersTimeout, requestTimeout, keepAliveTimeout, maxConnections]).toEqual([10_000, 30_000, 20_000, 10_000])
    expect(maxHeadersCount ?? 2000).toBeLessThanOrEqual(2000)
  })

  it('who do not read have a limit for silence until they have taken their answer', async () => {
    // More than the kernel's buffers take.
    const bulk = 'x'.repeat(40 * 1024 * 1024)
    const bulky = (url: '/text' | '/stream', data: () => unknown): Route =>
      route({
        method: 'GET',
        url,
        id: url.slice(1),
        summary: 'Bulk',
        access: 'public',
        plain: { contentType: 'text/plain' },
        etag: false,
        data: Type.String(),
        handler: () => data() as string,
      })
    const { http } = await lab([bulky('/text', () => bulk), bulky('/stream', () => Readable.from([bulk])), ping], {
      options: { receiveTimeoutMs: 30_000, keepAliveMs: 20_000, requestTimeoutMs: 30_000 },
    })
    const { port } = new URL(await http.listen({ host: '127.0.0.1', port: 0 }))
    for (const url of ['/text', '/stream']) {
      const arrived = once(http.fastify.server, 'connection') as Promise<[Socket]>
      const caller = connect(Number(port), '127.0.0.1').pause()
      caller.write(`GET ${url} HTTP/1.1\r\nHost: a\r\n\r\nGET /ping HTTP/1.1\r\nHost: a\r\n\r\n`)
      const [socket] = await arrived
      await expect.poll(() => [url, socket.timeout]).toEqual([url, 60_000])
      caller.resume()
      await expect.poll(() => [url, socket.timeout]).toEqual([url, 21_000])
      caller.destroy()
    }
  })
})

describe('closing', () => {
  it('finishes the request in flight with connection: close, then resolves; new connections are refused', async () => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    let arrive = (): void => {}
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    const slow = route({
      method: 'GET',
      url: '/slow',
      id: 'slow',
      summary: 'Slow',
      access: 'public',
      data: Type.Object({}),
      handler: async () => {
        arrive()
        await held
        return {}
      },
    })
    const { http } = await lab([slow, ping])
    const origin = await http.listen({ host: '127.0.0.1', port: 0 })
    const idle = await wire(origin, 'GET /ping HTTP/1.1\r\nHost: a\r\n\r\n', /\}$/)
    expect(statuses(idle)).toEqual([200])
    const answer = wire(origin, 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
    await arrived
    const closed = http.close()
    await expect(until(() => !http.fastify.server.listening)).resolves.toBeUndefined()
    await expect(wire(origin, 'GET /ping HTTP/1.1\r\nHost: a\r\n\r\n')).rejects.toThrow('ECONNREFUSED')
    release()
    const text = await answer
    await closed
    expect(statuses(text)).toEqual([200])
    expect(text).toMatch(/connection: close/i)
  })

  it('answers what callers had sent before, on connections that looked idle', async () => {
    const { http, origin } = await serve()
    const request = 'GET /ping HTTP/1.1\r\nHost: a\r\n\r\n'
    const sockets = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = connect(Number(new URL(origin).port), '127.0.0.1')
        socket.write(request)
        await new Promise((resolve) => socket.once('data', resolve))
        return socket
      }),
    )
    const answers = sockets.map(
      (socket) =>
        new Promise<string>((resolve) => {
          let text = ''
          socket.on('data', (chunk) => (text += chunk.toString()))
          socket.on('error', () => {})
          socket.on('close', () => resolve(text))
        }),
    )
    // The bytes lie in the kernel; the server has not looked yet.
    for (const socket of sockets) socket.write(request)
    while (unread(origin) < sockets.length);
    await http.close()
    for (const answer of await Promise.all(answers)) {
      expect(statuses(answer)).toEqual([200])
      expect(answer).toMatch(/connection: close/i)
    }
  })

  it('closes idle keep-alive connections at once', async () => {
    const { http, origin } = await serve()
    const socket = connect(Number(new URL(origin).port), '127.0.0.1')
    const seen = new Promise((resolve) => socket.once('data', resolve))
    socket.write('GET /ping HTTP/1.1\r\nHost: a\r\n\r\n')
    await seen
    const gone = new Promise((resolve) => socket.once('close', resolve))
    await http.close()
    await gone
  })
})

/** How many connections of the server have bytes in the kernel; on a busy machine even loopback takes its time. */
function unread(origin: string): number {
  const table = '/proc/net/tcp'
  if (!existsSync(table)) return Number.POSITIVE_INFINITY
  const port = Number(new URL(origin).port).toString(16).toUpperCase().padStart(4, '0')
  const waiting = new RegExp(`^ *\\d+: \\w+:${port} \\w+:\\w+ 01 \\w+:(?!0{8})`, 'gm')
  return readFileSync(table, 'latin1').match(waiting)?.length ?? 0
}

/** Turns of the event loop until `condition` holds; the test's own time limit ends a wait in vain. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}
