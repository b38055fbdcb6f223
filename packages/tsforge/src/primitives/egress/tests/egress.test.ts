import { createServer as createNet } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../kernel/clock.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import { createEgress } from '../create-egress.ts'
import type { EgressSettings } from '../create-egress.ts'
import type { Egress } from '../egress.ts'
import { egressRefusedChannel } from '../events.ts'
import { cert, key } from './certificate.ts'
import { net, stage } from './lab.ts'
import type { Net } from './lab.ts'

const open: Egress[] = []
afterEach(async () => {
  for (const egress of open.splice(0)) await egress.close()
})

function create(lab: Net, settings: Partial<EgressSettings> = {}): Egress {
  const egress = createEgress({
    schemes: ['http', 'https'],
    ports: [80, 443, 8080],
    clock: systemClock,
    resolve: lab.resolve,
    dial: lab.dial,
    ...settings,
  })
  open.push(egress)
  return egress
}

const names = {
  'hooks.example.com': ['93.184.216.34'],
  'both.example.com': ['93.184.216.34', '10.0.0.7'],
  'six.example.com': ['::1'],
  'mapped.example.com': ['::ffff:169.254.169.254'],
  'empty.example.com': [],
  localhost: ['127.0.0.1'],
  'db.internal': ['93.184.216.34'],
  intranet: ['93.184.216.34'],
}

const hostileUrls: readonly (readonly [string, string])[] = [
  ['http://127.0.0.1/', 'address_refused'],
  ['http://127.1/', 'address_refused'],
  ['http://2130706433/', 'address_refused'],
  ['http://0x7f000001/', 'address_refused'],
  ['http://0177.0.0.1/', 'address_refused'],
  ['http://0x7f.0x0.0x0.0x1/', 'address_refused'],
  ['http://127.0.0.1./', 'address_refused'],
  ['http://127。0。0。1/', 'address_refused'],
  ['http://①②⑦.⓪.⓪.①/', 'address_refused'],
  ['http://127.0.0.1/', 'address_refused'],
  ['http://%31%32%37.0.0.1/', 'address_refused'],
  ['http://0/', 'address_refused'],
  ['http://0.0.0.0/', 'address_refused'],
  ['http://[::]/', 'address_refused'],
  ['http://[::1]/', 'address_refused'],
  ['http://[0:0:0:0:0:0:0:1]/', 'address_refused'],
  ['http://[::127.0.0.1]/', 'address_refused'],
  ['http://[::ffff:127.0.0.1]/', 'address_refused'],
  ['http://[::ffff:7f00:1]/', 'address_refused'],
  ['http://[::ffff:a9fe:a9fe]/', 'address_refused'],
  ['http://[64:ff9b::7f00:1]/', 'address_refused'],
  ['http://[64:ff9b::a9fe:a9fe]/', 'address_refused'],
  ['http://[2002:7f00:1::]/', 'address_refused'],
  ['http://[2001::1]/', 'address_refused'],
  ['http://[fe80::1]/', 'address_refused'],
  ['http://[fd00:ec2::254]/', 'address_refused'],
  ['http://[ff02::1]/', 'address_refused'],
  ['http://10.0.0.1/', 'address_refused'],
  ['http://172.16.0.1/', 'address_refused'],
  ['http://192.168.1.1/', 'address_refused'],
  ['http://100.64.0.1/', 'address_refused'],
  ['http://100.100.100.200/latest/meta-data/', 'address_refused'],
  ['http://169.254.169.254/latest/meta-data/', 'address_refused'],
  ['http://168.63.129.16/', 'address_refused'],
  ['http://192.0.0.192/', 'address_refused'],
  ['http://198.18.0.1/', 'address_refused'],
  ['http://224.0.0.1/', 'address_refused'],
  ['http://255.255.255.255/', 'address_refused'],
  ['http://240.0.0.1/', 'address_refused'],
  ['http://localhost/', 'address_refused'],
  ['http://LOCALHOST./', 'address_refused'],
  ['http://unknown.localhost/', 'address_refused'],
  ['http://intranet/', 'address_refused'],
  ['http://db.internal/', 'address_refused'],
  ['http://metadata.google.internal/', 'address_refused'],
  ['http://both.example.com/', 'address_refused'],
  ['http://six.example.com/', 'address_refused'],
  ['http://mapped.example.com/', 'address_refused'],
  ['http://empty.example.com/', 'unresolvable'],
  ['http://nowhere.example.com/', 'unresolvable'],
  ['http://hooks.example.com:22/', 'port_refused'],
  ['http://hooks.example.com:25/', 'port_refused'],
  ['http://hooks.example.com:6379/', 'port_refused'],
  ['http://hooks.example.com:5432/', 'port_refused'],
  ['http://hooks.example.com:0/', 'port_refused'],
  ['http://hooks.example.com:99999/', 'url_invalid'],
  ['http://user@hooks.example.com/', 'url_invalid'],
  ['http://user:secret@hooks.example.com/', 'url_invalid'],
  ['http://hooks.example.com@127.0.0.1/', 'url_invalid'],
  ['http://hooks.example.com/#part', 'url_invalid'],
  ['http:///', 'url_invalid'],
  ['/relative', 'url_invalid'],
  ['', 'url_invalid'],
  ['hooks.example.com', 'url_invalid'],
  ['http://hooks.example.com\u0000.evil.example/', 'url_invalid'],
  [`http://hooks.example.com/${'a'.repeat(3000)}`, 'url_invalid'],
  ['file:///etc/passwd', 'url_invalid'],
  ['file://hooks.example.com/etc/passwd', 'scheme_refused'],
  ['ftp://hooks.example.com/', 'scheme_refused'],
  ['gopher://hooks.example.com/', 'scheme_refused'],
  ['ws://hooks.example.com/', 'scheme_refused'],
  ['data:text/plain,hello', 'url_invalid'],
  ['javascript:alert(1)', 'url_invalid'],
]

describe('what a user may not make us call', () => {
  it.each(hostileUrls)('%s is refused and never dialled', async (url, code) => {
    const lab = net(names, 1)
    const egress = create(lab)
    await expect(egress.fetch(url)).rejects.toMatchObject({ code: `egress.${code}`, status: 422 })
    await expect(egress.verify(url)).rejects.toMatchObject({ code: `egress.${code}` })
    expect(lab.dialled).toEqual([])
  })

  it('a name that changes its address between the look and the call is looked at again', async () => {
    const answers = [['93.184.216.34'], ['127.0.0.1']]
    const lab = net({ 'rebind.example.com': () => answers.shift() ?? ['127.0.0.1'] }, 1)
    const egress = create(lab)
    await egress.verify('http://rebind.example.com/')
    await expect(egress.fetch('http://rebind.example.com/')).rejects.toMatchObject({ code: 'egress.address_refused' })
    expect(lab.dialled).toEqual([])
  })

  it('a socket that ends up somewhere else than dialled carries no byte', async () => {
    let bytes = 0
    const victim = createNet((socket) => socket.on('data', (chunk) => (bytes += chunk.length)).on('error', () => {}))
    victim.listen(0, '127.0.0.1')
    await once(victim, 'listening')
    const lab = net(names, (victim.address() as AddressInfo).port, '127.0.0.1')
    await expect(create(lab).fetch('http://hooks.example.com/')).rejects.toMatchObject({
      code: 'egress.address_refused',
    })
    expect(lab.dialled).toHaveLength(1)
    expect(bytes).toBe(0)
    victim.close()
  })

  it('every refusal is told to who listens', async () => {
    const told: unknown[] = []
    const listen = (message: unknown): void => void told.push(message)
    egressRefusedChannel.subscribe(listen)
    await expect(create(net(names, 1)).fetch('http://six.example.com/')).rejects.toThrow()
    egressRefusedChannel.unsubscribe(listen)
    expect(told).toEqual([{ code: 'egress.address_refused', host: 'six.example.com' }])
  })

  it.each([
    ['host', 'other'],
    ['Content-Length', '1'],
    ['transfer-encoding', 'chunked'],
    ['x-a\r\nx-b', '1'],
    ['x-a', 'one\r\nx-b: two'],
    ['x-a', 'ключ'],
    ['', 'x'],
  ])('the header %j: %j', async (name, value) => {
    const lab = net(names, 1)
    await expect(create(lab).fetch('http://hooks.example.com/', { headers: { [name]: value } })).rejects.toMatchObject({
      code: 'egress.header_invalid',
    })
    expect(lab.dialled).toEqual([])
  })
})

describe('a call', () => {
  it('sends the body byte for byte and tells the answer, its address and the header names in lower case', async () => {
    await using server = await stage((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        response.setHeader('X-Seen', [
          `${request.method} ${request.url} ${request.headers.host} ${String(request.headers['x-own'])}`,
          'twice',
        ])
        response.end(Buffer.concat(chunks))
      })
    })
    const lab = net(names, server.port)
    const body = Buffer.from('{"b":1,  "a":"é"}')
    const answer = await create(lab).fetch('http://hooks.example.com:8080/in?x=1', {
      method: 'POST',
      body,
      headers: { 'X-Own': 'yes' },
    })
    expect(answer).toMatchObject({ status: 200, clipped: false, address: '93.184.216.34' })
    expect(answer.headers['x-seen']).toBe('POST /in?x=1 hooks.example.com:8080 yes, twice')
    expect(answer.body.equals(body)).toBe(true)
    expect(lab.dialled).toEqual([{ addresses: ['93.184.216.34'], port: 8080 }])
  })

  it('keeps connections for the next ones, and asks DNS for a new one alone', async () => {
    await using server = await stage((_request, response) => response.end('ok'))
    const lab = net(names, server.port)
    const egress = create(lab)
    for (let time = 0; time < 10; time++) await egress.fetch('http://hooks.example.com/')
    // undici counts a connection as busy for a moment after its answer.
    expect(lab.dialled.length).toBeLessThan(4)
    expect(lab.asked).toHaveLength(lab.dialled.length)
  })

  it.each([301, 302, 303, 307, 308])('does not follow a %i', async (status) => {
    await using server = await stage((_request, response) =>
      response.writeHead(status, { location: 'http://169.254.169.254/' }).end(),
    )
    const lab = net(names, server.port)
    const answer = await create(lab).fetch('http://hooks.example.com/')
    expect(answer).toMatchObject({ status, headers: { location: 'http://169.254.169.254/' } })
    expect(lab.dialled).toHaveLength(1)
  })

  it('refuses a body beyond its limit, or cuts it when told to', async () => {
    await using server = await stage((_request, response) => {
      const more = (): void => {
        if (!response.destroyed && response.write(Buffer.alloc(65_536, 'a'))) setImmediate(more)
        else response.once('drain', more)
      }
      more()
    })
    const egress = create(net(names, server.port))
    await expect(egress.fetch('http://hooks.example.com/', { responseBytes: 1000 })).rejects.toMatchObject({
      code: 'egress.response_too_large',
    })
    const clipped = await egress.fetch('http://hooks.example.com/', { responseBytes: 1000, overflow: 'clip' })
    expect([clipped.clipped, clipped.body.length]).toEqual([true, 1000])
  })

  it('leaves a compressed bomb packed', async () => {
    const bomb = gzipSync(Buffer.alloc(10 * 1024 * 1024))
    await using server = await stage((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    )
    const answer = await create(net(names, server.port)).fetch('http://hooks.example.com/')
    expect(answer.body.length).toBe(bomb.length)
  })

  it('ends a drip at its time limit, however many bytes it brings', async () => {
    const clock = createFakeClock()
    let dripped = (): void => {}
    const begun = new Promise<void>((resolve) => (dripped = resolve))
    await using server = await stage((_request, response) => {
      response.write('a')
      dripped()
    })
    const pending = create(net(names, server.port), { clock, timeoutMs: 5000 }).fetch('http://hooks.example.com/')
    const outcome = expect(pending).rejects.toMatchObject({ code: 'egress.timeout', status: 504 })
    await begun
    await clock.advance(5000)
    await outcome
  })

  it('ends with the reason of its caller', async () => {
    const abort = new AbortController()
    await using server = await stage(() => abort.abort(new Error('enough')))
    await expect(
      create(net(names, server.port)).fetch('http://hooks.example.com/', { signal: abort.signal }),
    ).rejects.toThrow('enough')
  })

  it('says that nobody is there, and that a server hung up', async () => {
    await using server = await stage((request) => request.socket.destroy())
    await expect(create(net(names, server.port)).fetch('http://hooks.example.com/')).rejects.toMatchObject({
      code: 'egress.connection_failed',
      status: 502,
    })
    // A port of the system's, on which nobody listens.
    await expect(create(net(names, 1)).fetch('http://hooks.example.com/')).rejects.toMatchObject({
      code: 'egress.connection_failed',
    })
  })

  it('reaches a private network that the operator allows, local names included', async () => {
    await using server = await stage((_request, response) => response.end('in here'))
    const lab = net({ 'db.internal': ['10.1.0.5'] }, server.port)
    const egress = create(lab, { allowedNetworks: ['10.1.0.0/16'] })
    expect((await egress.fetch('http://db.internal/')).body.toString()).toBe('in here')
    await expect(egress.fetch('http://10.2.0.5/')).rejects.toMatchObject({ code: 'egress.address_refused' })
  })
})

describe('TLS', () => {
  it('is checked against the name, with the certificate of the client when one is given', async () => {
    await using server = await stage(
      (request, response) => response.end(String((request.socket as TLSSocket).authorized)),
      { cert, key, ca: cert, requestCert: true, rejectUnauthorized: false },
    )
    const lab = net({ ...names, 'other.example.com': ['93.184.216.34'] }, server.port)
    const egress = create(lab)
    await expect(egress.fetch('https://hooks.example.com/')).rejects.toMatchObject({ code: 'egress.tls_failed' })
    const certificate = { cert, key, ca: cert }
    expect((await egress.fetch('https://hooks.example.com/', { certificate })).body.toString()).toBe('true')
    await expect(egress.fetch('https://other.example.com/', { certificate })).rejects.toMatchObject({
      code: 'egress.tls_failed',
    })
  })

  it('that never comes about leaves no connection behind', async () => {
    const clock = createFakeClock()
    const gone = Promise.withResolvers<void>()
    const reached = Promise.withResolvers<void>()
    const silent = createNet((socket) => {
      socket.on('error', () => {}).on('close', () => gone.resolve())
      socket.once('data', () => reached.resolve())
    })
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const egress = create(net(names, (silent.address() as AddressInfo).port), { clock, timeoutMs: 5000 })
    const call = egress.fetch('https://hooks.example.com/')
    const outcome = expect(call).rejects.toMatchObject({ code: 'egress.timeout' })
    await reached.promise
    await clock.advance(5000)
    await outcome
    await clock.advance(5000)
    await gone.promise
    silent.close()
    await once(silent, 'close')
  })

  it('that cannot begin leaves no connection behind either', async () => {
    const gone = Promise.withResolvers<void>()
    const silent = createNet((socket) => void socket.on('error', () => {}).on('close', () => gone.resolve()))
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const egress = create(net(names, (silent.address() as AddressInfo).port))
    const certificate = { cert: 'no PEM', key: 'no PEM' }
    await expect(egress.fetch('https://hooks.example.com/', { certificate })).rejects.toMatchObject({
      code: 'egress.tls_failed',
    })
    await gone.promise
    silent.close()
    await once(silent, 'close')
  })
})
