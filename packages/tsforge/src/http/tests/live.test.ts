import type { Writable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import type { Actor } from '../../kernel/context.ts'
import { createFakeClock } from '../../testing/clock.ts'
import { live, route } from '../index.ts'
import type { LiveSource, NamedAuthenticator, Route, Standing } from '../index.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'
import { wire } from './wire.ts'

afterEach(closeLabs)

/** Keeps what it was told, and says "open" and "bye". */
class Source implements LiveSource {
  out: Writable | undefined
  cancelled = 0
  ended = 0

  open(out: Writable): void {
    this.out = out
    out.write('open\n')
  }
  cancel(): void {
    this.cancelled++
  }
  end(): void {
    this.ended++
    this.out?.end('bye\n')
  }
}

const streaming = (source: LiveSource, more: Partial<Route> = {}): Route => ({
  ...route({
    method: 'GET',
    url: '/stream',
    id: 'stream',
    summary: 'Goes on',
    access: 'public',
    data: Type.String(),
    etag: false,
    plain: { contentType: 'text/event-stream' },
    handler: () => live(source, { headers: { 'x-own': 'yes' } }),
  }),
  ...more,
})

const get = 'GET /stream HTTP/1.1\r\nHost: x\r\n\r\n'

describe('an answer that lasts', () => {
  it('comes as it is written, without framing, until the source ends it, and closes the connection', async () => {
    const source = new Source()
    const { http, lines } = await lab([streaming(source)])
    const origin = await http.listen({ port: 0 })
    const answer = wire(origin, get)
    await expect.poll(() => source.out).toBeDefined()
    expect(lines).toEqual([])
    source.out!.write('more\n')
    source.out!.end()
    const [head, body] = (await answer).split('\r\n\r\n')
    expect(body).toBe('open\nmore\n')
    expect(head).toMatch(/^HTTP\/1\.1 200 OK/)
    expect(head!.toLowerCase()).toContain('content-type: text/event-stream')
    expect(head!.toLowerCase()).toContain('x-own: yes')
    expect(head!.toLowerCase()).toContain('connection: close')
    expect(head!.toLowerCase()).not.toMatch(/transfer-encoding|content-length|etag/)
    await expect.poll(() => lines).toMatchObject([{ status: 200, route: '/stream' }])
    expect(source.cancelled).toBe(0)
  })

  it('has no time limit, neither its own route nor silence on the connection', async () => {
    const clock = createFakeClock(0)
    const source = new Source()
    const { http } = await lab([streaming(source)], { clock })
    const origin = await http.listen({ port: 0 })
    const answer = wire(origin, get)
    await expect.poll(() => source.out).toBeDefined()
    await clock.advance(600_000)
    expect((source.out as unknown as { socket: { timeout: number } }).socket.timeout).toBe(0)
    source.out!.end('still here')
    expect(await answer).toContain('still here')
  })

  it('ends when the server closes, so that closing does not wait for it', async () => {
    const source = new Source()
    const { http } = await lab([streaming(source)], { clock: createFakeClock(0) })
    const origin = await http.listen({ port: 0 })
    const answer = wire(origin, get)
    await expect.poll(() => source.out).toBeDefined()
    await http.close()
    expect(await answer).toMatch(/open\nbye\n$/)
  })

  it('ends at once when it begins while the app drains', async () => {
    const source = new Source()
    const { http } = await lab([streaming(source)], { isDraining: () => true })
    expect(await wire(await http.listen({ port: 0 }), get)).toMatch(/open\nbye\n$/)
  })

  it('is never opened for those who ask for the head alone, nor for those who have gone', async () => {
    const source = new Source()
    const { http } = await lab([streaming(source)])
    const origin = await http.listen({ port: 0 })
    expect(await wire(origin, get.replace('GET', 'HEAD'))).toMatch(/200 OK[\s\S]*\r\n\r\n$/)
    expect([source.cancelled, source.out]).toEqual([1, undefined])

    const late = new Source()
    const { promise, resolve } = Promise.withResolvers<void>()
    let asked = false
    const handler = async () => ((asked = true), await promise, live(late))
    const second = await lab([streaming(late, { handler })])
    const gone = wire(await second.http.listen({ port: 0 }), get).catch(() => '')
    await expect.poll(() => asked).toBe(true)
    second.http.fastify.server.closeAllConnections()
    expect(await gone).toBe('')
    resolve()
    await expect.poll(() => late.cancelled).toBe(1)
    expect(late.out).toBeUndefined()
  })

  it('can be neither kept nor sent twice', async () => {
    const source = new Source()
    const around = {
      for: () => async (call: { render(value: unknown): unknown }) => call.render(live(source)) as never,
    }
    const { http } = await lab([streaming(source)], { around })
    expect((await http.inject('/stream')).statusCode).toBe(500)
    expect(source.cancelled).toBe(1)
  })
})

const tenant = '01900000-0000-7000-8000-000000000001'

describe('the standing of a caller', () => {
  const world = async (given: { recheck?: NamedAuthenticator['recheck']; expiresAt?: number } = {}) => {
    const clock = createFakeClock(1000)
    const state = { member: true, allowed: true as unknown }
    let standing: Standing | undefined
    const actor: Actor = {
      kind: 'user',
      id: 'ada',
      tenantId: tenant,
      scopes: ['notes.read'],
      ...(given.expiresAt !== undefined && { expiresAt: given.expiresAt }),
    }
    const { http } = await lab(
      [
        route({
          method: 'GET',
          url: '/x',
          id: 'x',
          summary: 'X',
          access: 'authenticated',
          data: null,
          handler: (call) => void (standing = call.standing),
        }),
      ],
      {
        clock,
        authenticators: [
          {
            name: 'bearer',
            scheme: { type: 'http', scheme: 'bearer' },
            authenticate: () => actor,
            ...(given.recheck !== undefined && { recheck: given.recheck }),
          },
        ],
        tenantGate: () => {
          if (!state.member) throw new Error('no member')
        },
        authorizer: () => state.allowed as boolean,
      },
    )
    expect((await http.inject('/x')).statusCode).toBe(204)
    return { clock, state, standing: standing! }
  }

  it('ends with the credential, to the millisecond', async () => {
    const { clock, standing } = await world({ expiresAt: 5000 })
    await clock.advance(3999)
    expect(standing.check()).toBeUndefined()
    await clock.advance(1)
    expect(() => standing.check()).toThrow(expect.objectContaining({ code: 'access.unauthenticated' }))
  })

  it('ends when its authenticator or the tenant says so, at once or later', async () => {
    let revoked = false
    const slow = await world({
      recheck: async () => {
        if (revoked) throw new Error('revoked')
      },
    })
    await slow.standing.check()
    slow.state.member = false
    await expect(slow.standing.check()).rejects.toThrow('no member')
    revoked = true
    await expect(slow.standing.check()).rejects.toThrow('revoked')
    const quick = await world()
    expect(quick.standing.check()).toBeUndefined()
    quick.state.member = false
    expect(() => quick.standing.check()).toThrow('no member')
  })

  it('allows what the authorizer allows and the scopes hold, and takes anything but true for a no', async () => {
    const { state, standing } = await world()
    expect(await standing.can('notes.read')).toBe(true)
    expect(await standing.can('notes.write')).toBe(false)
    for (const answer of [false, undefined, 'yes', Promise.resolve(undefined), Promise.resolve(1)]) {
      state.allowed = answer
      expect(await standing.can('notes.read')).toBe(false)
    }
    state.allowed = Promise.resolve(true)
    expect(await standing.can('notes.read')).toBe(true)
  })
})

it('serves a credential of the query on the routes that it is for, and nowhere else', async () => {
  const seen: (string | undefined)[] = []
  const make = (url: string, id: string) =>
    route({
      method: 'GET',
      url,
      id,
      summary: id,
      access: 'authenticated',
      query: Type.Object({ ticket: Type.Optional(Type.String()) }),
      data: null,
      handler: () => undefined,
    })
  const { http } = await lab([make('/with', 'with'), make('/without', 'without')], {
    authenticators: [
      {
        name: 'ticket',
        scheme: { type: 'apiKey', in: 'query', name: 'ticket' },
        serves: ({ url }) => url === '/with',
        authenticate: (credentials) => {
          const ticket = credentials.query('ticket')
          seen.push(ticket)
          return ticket === 'good' ? { kind: 'user', id: 'ada' } : undefined
        },
      },
      { name: 'bearer', scheme: { type: 'http', scheme: 'bearer' }, authenticate: () => undefined },
    ],
  })
  const ask = async (url: string) => (await http.inject(url)).statusCode
  expect(await ask('/with?ticket=good')).toBe(204)
  expect(await ask('/with?ticket=good&ticket=good')).toBe(401)
  expect(await ask('/with?ticket=%zz')).toBe(401)
  expect(seen).toEqual(['good', undefined, undefined])
  expect(await ask('/without?ticket=good')).toBe(401)
  expect(seen.length).toBe(3)
  const { paths } = http.document() as { paths: Record<string, { get: { security: unknown } }> }
  expect(paths['/with']!.get.security).toEqual([{ ticket: [] }, { bearer: [] }])
  expect(paths['/without']!.get.security).toEqual([{ bearer: [] }])
})
