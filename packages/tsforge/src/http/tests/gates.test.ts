import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/clock.ts'
import { httpErrors, reply, route } from '../index.ts'
import type { Actor } from '../../kernel/context.ts'
import type { Gate, GateSpec, NamedAuthenticator, Route } from '../index.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'

afterEach(closeLabs)

const Text = Type.Object({ text: Type.String() })
const ping = route({
  method: 'GET',
  url: '/ping',
  id: 'ping',
  summary: 'Ping',
  access: 'public',
  data: Text,
  handler: () => ({ text: 'pong' }),
})
const echo = route({
  method: 'POST',
  url: '/echo',
  id: 'echo',
  summary: 'Echo',
  access: 'authenticated',
  tenant: 'none',
  body: Text,
  data: Text,
  handler: ({ body }) => body,
})
const anna: Actor = { kind: 'user', id: '0190b0a0-0000-7000-8000-000000000001' }
const bearer: NamedAuthenticator = {
  name: 'bearer',
  scheme: { type: 'http', scheme: 'bearer' },
  authenticate: ({ authorization }) => (authorization?.value === 'anna' ? anna : undefined),
}
const arrival = (gate: Gate, only?: Route): GateSpec => ({
  phase: 'arrival',
  for: (each) => (only === undefined || each === only ? gate : undefined),
})
const admitted = (gate: Gate): GateSpec => ({ phase: 'admitted', for: () => gate })
const refuse = (): never => {
  throw httpErrors.error('http.overloaded', { retryAfterMs: 3000 })
}

describe('a gate', () => {
  it('stands before authentication or behind authorization, and before the body is read', async () => {
    const seen: string[] = []
    const { http } = await lab([echo], {
      authenticators: [bearer],
      gates: [
        admitted((call) => void seen.push(`admitted ${call.actor.kind} ${call.route.id}`)),
        arrival((call) => void seen.push(`arrival ${call.actor.kind} ${call.ip} ${call.header('X-A')}`)),
      ],
    })
    const answer = await http.inject({ method: 'POST', url: '/echo', headers: { 'x-a': 'b' }, payload: '{not json' })
    expect(answer.statusCode).toBe(401)
    expect(seen).toEqual(['arrival anonymous 127.0.0.1 b'])
    const signedIn = { authorization: 'bearer anna', 'content-type': 'application/json' }
    const malformed = await http.inject({ method: 'POST', url: '/echo', headers: signedIn, payload: '{not json' })
    expect(malformed.statusCode).toBe(400)
    expect(seen.slice(1)).toEqual(['arrival anonymous 127.0.0.1 undefined', 'admitted user echo'])
  })

  it('refuses by throwing, at once or later, with its headers on the refusal', async () => {
    const handled: string[] = []
    const noted = route({
      ...(ping as never as Parameters<typeof route>[0]),
      handler: () => handled.push('ran') as never,
    })
    for (const gate of [
      refuse,
      async () => {
        await turn()
        refuse()
      },
    ]) {
      const { http, lines } = await lab([noted], {
        gates: [arrival((call) => call.addHeader('RateLimit', '"a";r=0;t=3')), arrival(gate)],
      })
      const answer = await http.inject('/ping')
      expect(answer.statusCode).toBe(503)
      expect(answer.json().error.code).toBe('http.overloaded')
      expect(answer.headers['retry-after']).toBe('3')
      expect(answer.headers['ratelimit']).toBe('"a";r=0;t=3')
      expect(lines).toHaveLength(1)
    }
    expect(handled).toEqual([])
  })

  it('that breaks is a 500 that tells nothing, logged once, also when it breaks later', async () => {
    for (const gate of [
      () => {
        throw new Error('the store is at 10.0.0.7')
      },
      () => Promise.reject(new Error('the store is at 10.0.0.7')),
    ] as Gate[]) {
      const { http, logged } = await lab([ping], { gates: [arrival(gate)] })
      const answer = await http.inject('/ping')
      expect([answer.statusCode, answer.json().error.code]).toEqual([500, 'internal'])
      expect(answer.body).not.toContain('10.0.0.7')
      expect(logged.filter(({ level }) => level === 'error')).toHaveLength(1)
    }
  })

  it('adds headers to answers of every kind, once each', async () => {
    const tagged = route({
      method: 'GET',
      url: '/tagged',
      id: 'tagged',
      summary: 'Tagged',
      access: 'public',
      data: Text,
      handler: () => ({ text: 'same' }),
    })
    const empty = route({
      method: 'DELETE',
      url: '/empty',
      id: 'empty',
      summary: 'Empty',
      access: 'public',
      data: null,
      handler: () => undefined as never,
    })
    const plain = route({
      method: 'GET',
      url: '/plain',
      id: 'plain',
      summary: 'Plain',
      access: 'public',
      plain: true,
      data: Type.String(),
      handler: () => reply('text', { headers: { RateLimit: 'of the handler', vary: 'x-a' } }),
    })
    const taken = route({
      method: 'GET',
      url: '/taken',
      id: 'taken',
      summary: 'Taken over',
      access: 'public',
      plain: true,
      data: Type.String(),
      handler: async ({ raw }) => {
        await raw.reply.send('raw')
        return ''
      },
    })
    const peeked = route({
      method: 'GET',
      url: '/peeked',
      id: 'peeked',
      summary: 'Raw looked at, not taken over',
      access: 'public',
      data: Text,
      handler: ({ raw }) => ({ text: raw.request.method }),
    })
    const { http } = await lab([tagged, empty, plain, taken, peeked], {
      gates: [
        arrival((call) => call.addHeader('RateLimit', '"a";r=1')),
        arrival((call) => {
          call.addHeader('ratelimit', '"b";r=2')
          call.addHeader('Vary', 'x-b')
        }),
      ],
    })
    const expected = '"a";r=1, "b";r=2'
    const first = await http.inject('/tagged')
    const answers = [
      first,
      await http.inject({ url: '/tagged', headers: { 'if-none-match': String(first.headers.etag) } }),
      await http.inject({ method: 'HEAD', url: '/tagged' }),
      await http.inject({ method: 'DELETE', url: '/empty' }),
      await http.inject('/plain'),
      await http.inject('/taken'),
      await http.inject('/peeked'),
      await http.inject('/plain?x=1'),
      await http.inject('/tagged?x=1'),
    ]
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 304, 200, 204, 200, 200, 200, 200, 422])
    for (const answer of answers) expect(answer.headers['ratelimit']).toBe(expected)
    expect(answers[4]!.headers.vary).toBe('x-a, x-b')
    expect(answers[3]!.headers['content-type']).toBeUndefined()
  })

  it('cannot add a header that breaks the answer', async () => {
    const cases = [
      ['x-a', 'b\r\nset-cookie: c=d'],
      ['x a', 'b'],
      ['Content-Length', '5'],
      ['set-cookie', 'a=b'],
    ] as const
    for (const [name, value] of cases) {
      const { http } = await lab([ping], { gates: [arrival((call) => call.addHeader(name, value))] })
      const answer = await http.inject('/ping')
      expect([answer.statusCode, answer.json().error.code]).toEqual([500, 'internal'])
      expect(answer.headers['set-cookie']).toBeUndefined()
    }
  })

  it('hears the end once: of answers, refusals, listeners that break and ends that came before it listened', async () => {
    const heard: number[] = []
    const clock = createFakeClock()
    const slow = Promise.withResolvers<void>()
    const { http, logged } = await lab([ping, echo], {
      clock,
      authenticators: [bearer],
      options: { requestTimeoutMs: 1000 },
      gates: [
        arrival((call) => {
          call.onEnd(() => {
            throw new Error('broken listener')
          })
          call.onEnd((status) => heard.push(status))
        }),
        arrival(async (call) => {
          await slow.promise
          call.onEnd((status) => heard.push(-status))
        }, echo),
      ],
    })
    await http.inject('/ping')
    await http.inject('/ping?x=1')
    expect(heard).toEqual([200, 422])
    expect(logged.filter(({ message }) => message.includes('end listener'))).toHaveLength(2)
    const late = http.inject({ method: 'POST', url: '/echo', payload: {} })
    await turn()
    await clock.advance(1000)
    expect((await late).statusCode).toBe(503)
    expect(heard).toEqual([200, 422, 503])
    slow.resolve()
    await turn()
    expect(heard).toEqual([200, 422, 503, -503])
  })

  it('ends with 499 and runs nothing further when the caller has gone while it waited', async () => {
    const heard: number[] = []
    const ran: string[] = []
    const slow = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const gone = Promise.withResolvers<number>()
    const noted = route({
      ...(ping as never as Parameters<typeof route>[0]),
      handler: () => ran.push('handler') as never,
    })
    const { http, lines } = await lab([noted], {
      gates: [
        arrival((call) => {
          call.onEnd((status) => {
            heard.push(status)
            gone.resolve(status)
          })
          entered.resolve()
          return slow.promise
        }),
        arrival(() => void ran.push('second gate')),
      ],
    })
    const origin = new URL(await http.listen({ host: '127.0.0.1', port: 0 }))
    const closed = once(http.fastify.server, 'connection').then(([socket]) => once(socket as never, 'close'))
    const socket = connect(Number(origin.port), origin.hostname)
    socket.write('GET /ping HTTP/1.1\r\nHost: a\r\n\r\n')
    await entered.promise
    socket.destroy()
    await closed
    slow.resolve()
    expect(await gone.promise).toBe(499)
    await turn()
    expect(heard).toEqual([499])
    expect(ran).toEqual([])
    expect(lines.map(({ status }) => status)).toEqual([499])
  })

  it('is asked for at boot only, and its fault names the route', async () => {
    let asked = 0
    const { http } = await lab([ping], {
      gates: [{ phase: 'arrival', for: (each) => void (asked += Number(each === ping)) }],
    })
    await http.inject('/ping')
    await http.inject('/ping')
    expect(asked).toBe(1)
    await expect(
      lab([ping], {
        gates: [
          {
            phase: 'admitted',
            for: () => {
              throw new Error('no limit is called "x"')
            },
          },
        ],
      }),
    ).rejects.toThrow('GET /ping: no limit is called "x"')
  })
})

describe('the words of a route', () => {
  it('are refused where they make no sense', async () => {
    const base = ping as never as Parameters<typeof route>[0]
    await expect(lab([route({ ...base, idempotency: 'required' })])).rejects.toThrow('for writes, not for GET')
    await expect(lab([route({ ...base, cost: 0 })])).rejects.toThrow('its cost')
    await expect(lab([route({ ...base, cost: 1.5 })])).rejects.toThrow('its cost')
  })

  it('and what extensions say stand in the document', async () => {
    const docs = {
      errors: ['http.overloaded'],
      headers: { RateLimit: { schema: { type: 'string' } } },
    }
    const { http } = await lab([ping, echo], {
      authenticators: [bearer],
      gates: [{ phase: 'arrival', for: () => undefined, describe: (each) => (each === ping ? docs : undefined) }],
      around: { for: () => undefined },
    })
    const { paths } = http.document() as never as {
      paths: Record<string, Record<string, { parameters: unknown[]; responses: Record<string, { headers: object }> }>>
    }
    expect(paths['/ping']!['get']!.responses['200']!.headers).toHaveProperty('RateLimit')
    expect(paths['/ping']!['get']!.parameters).not.toContainEqual({ $ref: '#/components/parameters/IdempotencyKey' })
    expect(paths['/echo']!['post']!.responses['200']!.headers).not.toHaveProperty('RateLimit')
    expect(paths['/echo']!['post']!.parameters).toContainEqual({ $ref: '#/components/parameters/IdempotencyKey' })
  })
})
