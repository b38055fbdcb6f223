import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { cert, key } from '../../egress/tests/certificate.ts'
import { createStorage } from '../create-storage.ts'
import { s3 } from '../drivers/s3.ts'
import { readingAgents } from '../drivers/s3/reading.ts'
import type { ReadingAgents } from '../drivers/s3/reading.ts'

const mebibyte = 2 ** 20
const opened: { close(): void }[] = []
afterEach(() => {
  for (const each of opened.splice(0)) each.close()
})

async function listening<T extends Server>(server: T): Promise<T> {
  opened.push({ close: () => (server.closeAllConnections(), server.close()) })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

async function agents(): Promise<ReadingAgents> {
  const made = (await readingAgents())!
  opened.push({ close: () => (made.httpAgent.destroy(), made.httpsAgent.destroy()) })
  return made
}

const kinds = [
  { kind: 'plain', secure: false },
  { kind: 'TLS', secure: true },
] as const

describe.each(kinds)('reading into one buffer, $kind', ({ secure }) => {
  async function serving(listener: RequestListener): Promise<() => Promise<IncomingMessage>> {
    const server = await listening(secure ? https.createServer({ cert, key }, listener) : http.createServer(listener))
    server.keepAliveTimeout = 0
    const { httpAgent, httpsAgent } = await agents()
    const place = { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
    return async () => {
      const request = secure
        ? https.get({ ...place, agent: httpsAgent, ca: cert, servername: 'hooks.example.com' })
        : http.get({ ...place, agent: httpAgent })
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      return response
    }
  }

  it('gives every byte as it came, also those that are kept while more come', async () => {
    const body = randomBytes(8 * mebibyte)
    const get = await serving((_, res) => res.end(body))
    for (let time = 0; time < 3; time++) {
      const pieces: Buffer[] = []
      for await (const piece of await get()) pieces.push(piece as Buffer)
      expect(Buffer.concat(pieces).equals(body)).toBe(true)
    }
  })

  it('gives every byte when many are read at the same time', async () => {
    const body = randomBytes(mebibyte)
    const get = await serving((_, res) => res.end(body))
    const all = await Promise.all(Array.from({ length: 20 }, async () => buffer(await get())))
    expect(all.every((each) => each.equals(body))).toBe(true)
  })

  it('uses its connections again', async () => {
    const sockets = new Set<Socket>()
    const get = await serving((req, res) => (sockets.add(req.socket), res.end('x')))
    for (let time = 0; time < 3; time++) await buffer(await get())
    expect(sockets.size).toBe(1)
  })

  it('reads no further than its reader', async () => {
    const body = randomBytes(64 * mebibyte)
    let sent: Socket | undefined
    const get = await serving((req, res) => {
      sent = req.socket
      res.end(body)
    })
    const response = await get()
    await once(response, 'readable')
    const { socket } = response
    // Until nothing more comes by itself: what a reader of its own would have been given is bounded.
    for (let before = -1; before !== socket.bytesRead;) {
      before = socket.bytesRead
      for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    }
    expect(socket.bytesRead).toBeLessThan(2 * mebibyte)
    expect(sent?.destroyed).toBe(false)
    expect((await buffer(response)).equals(body)).toBe(true)
  })

  it('fails a body that is cut off', async () => {
    const get = await serving((req, res) => {
      res.writeHead(200, { 'content-length': String(mebibyte) })
      res.write(randomBytes(1000), () => req.socket.destroy())
    })
    await expect(buffer(await get())).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  it('lets go of the connection of a body that nobody wants any more', async () => {
    let closed: Promise<unknown> | undefined
    const get = await serving((req, res) => {
      closed = new Promise((done) => req.socket.once('close', done))
      req.socket.on('error', () => undefined)
      res.end(randomBytes(64 * mebibyte))
    })
    const response = await get()
    response.destroy()
    await closed
  })

  it('does not take bytes that nobody asked for as the next answer', async () => {
    const sockets: Socket[] = []
    const get = await serving((req, res) => (sockets.push(req.socket), res.end('right')))
    const first = await get()
    const { socket } = first
    await buffer(first)
    const closed = once(socket, 'close')
    sockets[0]!.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong')
    await closed
    expect((await buffer(await get())).toString()).toBe('right')
  })
})

it('a download of the driver that breaks off fails, and one that its signal ends as well', async () => {
  const server = await listening(
    http.createServer((req, res) => {
      res.writeHead(200, { 'content-length': String(mebibyte), etag: '"a"' })
      res.write(randomBytes(1000), () => req.url!.includes('broken') && req.socket.destroy())
    }),
  )
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const storage = createStorage(s3({ bucket: 'a', endpoint, credentials, pathStyle: true }))
  await expect((await storage.get('broken')).bytes()).rejects.toThrow()
  const stop = new AbortController()
  const { body } = await storage.get('slow', { signal: stop.signal })
  const read = buffer(body)
  stop.abort()
  await expect(read).rejects.toThrow()
  await storage.close()
})
