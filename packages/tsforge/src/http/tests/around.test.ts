import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/clock.ts'
import { created, httpErrors, reply, route } from '../index.ts'
import type { Around, AroundCall, AroundSpec, RenderedAnswer } from '../index.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'

afterEach(closeLabs)

const Text = Type.Object({ text: Type.String() })
const runs: string[] = []
const add = route({
  method: 'POST',
  url: '/notes/:id',
  id: 'addNote',
  summary: 'Add',
  access: 'public',
  body: Text,
  data: Text,
  status: 201,
  errors: ['http.not_found'],
  handler: async ({ body, raw }) => {
    runs.push(body.text)
    await turn()
    if (body.text === 'missing') throw httpErrors.error('http.not_found')
    if (body.text === 'broken') throw new Error('secret')
    if (body.text === 'taken') {
      raw.reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
      raw.reply.raw.write('data: 1\n\n')
      setImmediate(() => raw.reply.raw.end('data: 2\n\n'))
    }
    if (body.text === 'cut') {
      raw.reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
      throw new Error('in the middle')
    }
    if (body.text === 'unfit') return { other: 1 } as never
    return created({ text: body.text }, { location: '/notes/1', headers: { vary: 'x-a', 'cache-control': 'private' } })
  },
})
const send = (text: string, headers: Record<string, string> = {}) =>
  ({ method: 'POST', url: '/notes/1', payload: { text }, headers }) as const

/** Keeps the first answer per body and sends it again. */
function keeper(): AroundSpec & { readonly kept: Map<string, RenderedAnswer>; readonly calls: AroundCall[] } {
  const kept = new Map<string, RenderedAnswer>()
  const calls: AroundCall[] = []
  const around: Around = async (call, run) => {
    calls.push(call)
    const known = kept.get(call.bodyHash())
    if (known !== undefined) {
      call.addHeader('Idempotent-Replayed', 'true')
      return known
    }
    const answer = await run()
    kept.set(call.bodyHash(), answer)
    return answer
  }
  return { kept, calls, for: (each) => (each.method === 'POST' ? around : undefined) }
}

describe('an around', () => {
  it('changes nothing of what the caller gets when it only runs the handler', async () => {
    const without = await lab([add])
    const withOne = await lab([add], { around: keeper() })
    for (const text of ['fine', 'missing', 'broken', 'unfit']) {
      const [a, b] = await Promise.all(
        [without, withOne].map(({ http }) =>
          http.inject(send(text, { 'x-request-id': 'same', origin: 'https://a.b' })),
        ),
      )
      for (const each of [a!, b!]) delete each.headers.date
      expect(b!.statusCode).toBe(a!.statusCode)
      expect(b!.headers).toEqual(a!.headers)
      expect(b!.body).toBe(a!.body)
    }
    expect(withOne.logged).toHaveLength(without.logged.length)
  })

  it('lets a gate know whether the handler has worked for the answer', async () => {
    const ends: (readonly [number, boolean])[] = []
    const { http } = await lab([add], {
      around: keeper(),
      gates: [{ phase: 'admitted', for: () => (call) => call.onEnd((...end) => void ends.push(end)) }],
    })
    await http.inject(send('x'))
    await http.inject(send('x'))
    await http.inject(send('broken'))
    await http.inject({ method: 'POST', url: '/notes/1', payload: { other: 1 } })
    expect(ends).toEqual([
      [201, true],
      [201, false],
      [500, true],
      [422, false],
    ])
  })

  it('sends a kept answer again, with the id, cross-origin headers and connection of the new request', async () => {
    runs.length = 0
    let draining = false
    const { http, lines } = await lab([add], {
      around: keeper(),
      options: { corsOrigins: ['https://a.example'] },
      isDraining: () => draining,
    })
    const first = await http.inject(send('x', { 'x-request-id': 'one' }))
    draining = true
    const again = await http.inject(send('x', { 'x-request-id': 'two', origin: 'https://a.example' }))
    expect(runs).toEqual(['x'])
    expect([again.statusCode, again.body]).toEqual([201, first.body])
    expect(again.headers).toMatchObject({
      'x-request-id': 'two',
      'idempotent-replayed': 'true',
      'access-control-allow-origin': 'https://a.example',
      connection: 'close',
      location: '/notes/1',
      vary: 'origin, x-a',
      'cache-control': 'private',
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(first.body.length),
    })
    expect(first.headers['idempotent-replayed']).toBeUndefined()
    expect(lines.map(({ status, request_id: id }) => [status, id])).toEqual([
      [201, 'one'],
      [201, 'two'],
    ])
  })

  it('sees failures as the answers that callers get, and can send them again', async () => {
    const around = keeper()
    const { http, logged } = await lab([add], { around })
    const first = await http.inject(send('missing'))
    const again = await http.inject(send('missing'))
    expect([first.statusCode, again.statusCode]).toEqual([404, 404])
    expect(again.json()).toEqual(first.json())
    expect(again.headers['content-type']).toBe(first.headers['content-type'])
    expect(again.headers.vary).toBe(first.headers.vary)
    const broken = await http.inject(send('broken'))
    expect(broken.json().error.code).toBe('internal')
    expect([...around.kept.values()].map(({ status }) => status)).toEqual([404, 500])
    expect([...around.kept.values()].at(-1)!.body).not.toContain('secret')
    expect(logged).toHaveLength(1)
  })

  it('gets validated input and a hash that tells bodies apart', async () => {
    const around = keeper()
    const { http } = await lab([add], { around })
    await http.inject(send('a'))
    await http.inject(send('b'))
    await http.inject({ ...send('a'), headers: { 'content-type': 'application/json; charset=utf-8' } })
    await http.inject({ ...send('c'), payload: { text: 5 } })
    expect(around.calls).toHaveLength(3)
    const [a, b, sameAsA] = around.calls.map((call) => call.bodyHash())
    expect(a).toMatch(/^[0-9a-f]{64}$/)
    expect(a).not.toBe(b)
    expect(a).toBe(sameAsA)
    expect(around.calls[0]!.params).toEqual({ id: '1' })
    expect(around.calls[0]!.body).toEqual({ text: 'a' })
    expect(around.calls[0]!.context.locale).toBe('en')
  })

  it('that breaks is a 500, whatever it does', async () => {
    const faults: Around[] = [
      () => {
        throw new Error('at once')
      },
      () => Promise.reject(new Error('later')),
      async () => undefined as never,
      async () => ({ status: 200, headers: ['x-a', 'b\r\nc'], body: 'x' }),
      async () => ({ status: 99, headers: [], body: 'x' }),
    ]
    for (const around of faults) {
      const { http, lines } = await lab([add], { around: { for: () => around } })
      const answer = await http.inject(send('x'))
      expect([answer.statusCode, answer.json().error.code]).toEqual([500, 'internal'])
      expect(lines).toHaveLength(1)
    }
  })

  it('goes on after the time limit and may keep what the handler made, while the caller has its 503', async () => {
    const clock = createFakeClock()
    const pause = Promise.withResolvers<void>()
    const kept: RenderedAnswer[] = []
    const around: Around = async (_call, run) => {
      await pause.promise
      kept.push(await run())
      return kept[0]!
    }
    const { http, lines } = await lab([add], {
      clock,
      around: { for: () => around },
      options: { requestTimeoutMs: 500 },
    })
    const late = http.inject(send('slow'))
    await turn()
    await clock.advance(500)
    const answer = await late
    expect([answer.statusCode, answer.json().error.code]).toEqual([503, 'http.timeout'])
    pause.resolve()
    await turn()
    await turn()
    expect(kept.map(({ status }) => status)).toEqual([201])
    expect(lines.map(({ status }) => status)).toEqual([503])
  })

  it('is told when the handler answered by itself, and the connection is cut when that broke in the middle', async () => {
    const around = keeper()
    const { http, lines } = await lab([add], { around })
    const answer = await http.inject(send('taken'))
    expect([answer.statusCode, answer.body]).toEqual([200, 'data: 1\n\ndata: 2\n\n'])
    expect([...around.kept.values()]).toEqual([{ status: 200, headers: [], body: undefined, streamed: true }])
    await expect(http.inject(send('cut'))).rejects.toThrow()
    await turn()
    expect(lines).toHaveLength(2)
  })

  it('keeps no body for answers that have none, repeated headers as they are, and answers HEAD without one', async () => {
    const kept: RenderedAnswer[] = []
    const around: Around = async (_call, run) => {
      if (kept.length === 0) kept.push(await run())
      return kept[0]!
    }
    const drop = route({
      method: 'DELETE',
      url: '/drop',
      id: 'drop',
      summary: 'Drop',
      access: 'public',
      data: null,
      handler: () => reply(undefined as never, { headers: { link: ['</a>', '</b>'] as never } }),
    })
    const { http } = await lab([drop], { around: { for: () => around } })
    await http.inject({ method: 'DELETE', url: '/drop' })
    const empty = await http.inject({ method: 'DELETE', url: '/drop' })
    expect([empty.statusCode, empty.body, empty.headers['content-type'], empty.headers['content-length']]).toEqual([
      204,
      '',
      undefined,
      undefined,
    ])
    expect(empty.headers.link).toEqual(['</a>', '</b>'])
    expect(kept[0]).toEqual({ status: 204, headers: ['link', '</a>', 'link', '</b>'], body: undefined })

    kept.length = 0
    const read = route({
      method: 'GET',
      url: '/read',
      id: 'read',
      summary: 'Read',
      access: 'public',
      plain: true,
      data: Type.String(),
      handler: () => reply('text', { headers: { 'content-type': 'text/csv' } }),
    })
    const reading = await lab([read], { around: { for: () => around } })
    const get = await reading.http.inject('/read')
    const head = await reading.http.inject({ method: 'HEAD', url: '/read' })
    for (const each of [get, head]) {
      expect(each.headers).toMatchObject({ 'content-type': 'text/plain; charset=utf-8', 'content-length': '4' })
      expect(each.headers.etag).toBe(get.headers.etag)
    }
    expect([get.body, head.body]).toEqual(['text', ''])
  })

  it('cannot be brought twice', async () => {
    const { compose } = await import('../../host/compose.ts')
    const feature = (name: string) => ({ name, setup: () => undefined, around: () => ({ for: () => undefined }) })
    expect(() => compose(new Map([feature('a'), feature('b')].map((each) => [each as never, undefined])))).toThrow(
      /a.*b/,
    )
  })
})
