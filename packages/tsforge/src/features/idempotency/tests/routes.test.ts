import { setImmediate as turn } from 'node:timers/promises'
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import { idempotencyPort } from '../idempotency.ts'
import type { RunningIdempotency } from '../idempotency.ts'
import { idempotency } from '../plugin.ts'
import { notes } from './notes.ts'
import type { Notes } from './notes.ts'

const tenantA = '0192aaaa-0000-7000-8000-00000000000a'
const tenantB = '0192aaaa-0000-7000-8000-00000000000b'

async function open(env: Record<string, string> = {}): Promise<{ app: TestApp; state: Notes } & AsyncDisposable> {
  const state = { runs: [], gates: new Map(), service: undefined as never }
  const app = await createTestApp({ features: [idempotency(), notes(state)], env })
  return { app, state, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() as Promise<void> }
}

const with_ = (key: string, more: Record<string, string> = {}) => ({ headers: { 'idempotency-key': key, ...more } })
const codeOf = (reply: { readonly body: { readonly error?: { readonly code: string } } }) => reply.body?.error?.code

describe('a repeated request', () => {
  it('gets the first answer again, byte for byte, with its Location and ETag, and is marked', async () => {
    await using lab = await open()
    const { app, state } = lab
    const user = app.as('u1')
    const first = await user.post('/notes', { text: 'a' }, with_('k1'))
    const again = await user.post('/notes', { text: 'a' }, with_('k1'))
    expect([first.status, again.status, again.text]).toEqual([201, 201, first.text])
    expect(again.headers).toMatchObject({ location: first.headers['location'], 'idempotent-replayed': 'true' })
    expect(again.headers['content-type']).toBe(first.headers['content-type'])
    expect(first.headers['idempotent-replayed']).toBeUndefined()
    expect(again.headers['x-request-id']).not.toBe(first.headers['x-request-id'])
    expect(state.runs).toEqual(['a'])
    const tagged = await user.post('/notes', { text: 'cookie' }, with_('k2'))
    const untagged = await user.post('/notes', { text: 'cookie' }, with_('k2'))
    expect(tagged.headers['set-cookie']).toBe('a=1')
    expect(untagged.headers).toMatchObject({ etag: '"1"', 'x-own': tagged.headers['x-own'] })
    expect(untagged.headers['set-cookie']).toBeUndefined()
  })

  it('is carried out each time when it has no key', async () => {
    await using lab = await open()
    const user = lab.app.as('u1')
    await user.post('/notes', { text: 'a' })
    await user.post('/notes', { text: 'a' })
    expect(lab.state.runs).toEqual(['a', 'a'])
  })

  it('gets a final refusal again, and is carried out again after one that may pass and after any failure', async () => {
    await using lab = await open()
    const user = lab.app.as('u1')
    const twice = async (text: string) => {
      const first = await user.post('/notes', { text }, with_(text))
      const again = await user.post('/notes', { text }, with_(text))
      return [
        first.status,
        again.status,
        again.headers['idempotent-replayed'],
        lab.state.runs.filter((t) => t === text).length,
      ]
    }
    expect(await twice('missing')).toEqual([404, 404, 'true', 1])
    expect(await twice('denied')).toEqual([403, 403, undefined, 2])
    expect(await twice('busy')).toEqual([503, 503, undefined, 2])
    expect(await twice('broken')).toEqual([500, 500, undefined, 2])
  })

  it('that was refused before it reached the handler leaves its key free for the corrected one', async () => {
    await using lab = await open()
    const user = lab.app.as('u1')
    expect((await user.post('/notes', { txt: 'a' }, with_('k'))).status).toBe(422)
    expect((await user.post('/notes', { text: 'a' }, with_('k', { accept: 'text/csv' }))).status).toBe(406)
    expect((await user.post('/notes', { text: 'a' }, with_('k'))).status).toBe(201)
  })

  it('sent many times at once is carried out once', async () => {
    await using lab = await open()
    const { promise, resolve } = Promise.withResolvers<void>()
    lab.state.gates.set('slow', promise)
    const user = lab.app.as('u1')
    const all = Array.from({ length: 50 }, () => user.post('/notes', { text: 'slow' }, with_('k')))
    while (lab.state.runs.length === 0) await turn()
    resolve()
    // Time stands until the answer is kept. Some may have looked just before; their next look needs time to pass.
    const service = lab.app.get(idempotencyPort) as RunningIdempotency
    while (service.running > 0) await turn()
    const replies = await lab.app.clock.advanceUntil(Promise.all(all))
    expect(lab.state.runs).toEqual(['slow'])
    expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(replies[0]!.status).toBe(201)
  })

  it('of a handler that wrote to the wire by itself is not carried out again', async () => {
    await using lab = await open()
    const user = lab.app.as('u1')
    const url = '/notes'
    const send = () =>
      lab.app.http.inject({
        method: 'POST',
        url,
        headers: { authorization: 'Bearer u1', 'idempotency-key': 'k' },
        payload: { text: 'streamed' },
      })
    expect((await send()).payload).toBe('streamed')
    const again = await user.post(url, { text: 'streamed' }, with_('k'))
    expect([again.status, codeOf(again), again.body.error.meta]).toEqual([
      410,
      'idempotency.answer_gone',
      { reason: 'streamed' },
    ])
    expect(lab.state.runs).toEqual(['streamed'])
  })
})

describe('a key', () => {
  it.each([
    ['with a space', 'a b'],
    ['empty', ''],
    ['of nothing but spaces', '   '],
    ['longer than 255 characters', 'k'.repeat(256)],
    ['in other letters', 'kümmel'],
    ['with an open quote', '"abc'],
    ['quoted and empty', '""'],
    ['quoted with something behind', '"a"; b=1'],
    ['with a tab', 'a\tb'],
  ])('%s is refused with 400', async (_, key) => {
    await using lab = await open()
    const reply = await lab.app.as('u1').post('/notes', { text: 'a' }, with_(key))
    expect([reply.status, codeOf(reply)]).toEqual([400, 'idempotency.key_malformed'])
    expect(lab.state.runs).toEqual([])
  })

  it('that comes twice is refused', async () => {
    await using lab = await open()
    const answer = await lab.app.http.inject({
      method: 'POST',
      url: '/notes',
      headers: { authorization: 'Bearer u1', 'idempotency-key': ['a', 'b'] },
      payload: { text: 'a' },
    })
    expect(answer.json().error.code).toBe('idempotency.key_malformed')
  })

  it('is the same bare and as the quoted string of the draft', async () => {
    await using lab = await open()
    const user = lab.app.as('u1')
    await user.post('/notes', { text: 'a' }, with_('8e03978e-40d5-43dd-bc93-6894a57f9324'))
    const again = await user.post('/notes', { text: 'a' }, with_('"8e03978e-40d5-43dd-bc93-6894a57f9324"'))
    expect(again.headers['idempotent-replayed']).toBe('true')
    await user.post('/notes', { text: 'a' }, with_(String.raw`a"\b`))
    const escaped = await user.post('/notes', { text: 'a' }, with_(String.raw`"a\"\\b"`))
    expect(escaped.headers['idempotent-replayed']).toBe('true')
    expect(lab.state.runs).toHaveLength(2)
  })

  it('of 255 characters is fine', async () => {
    await using lab = await open()
    expect((await lab.app.as('u1').post('/notes', { text: 'a' }, with_('~'.repeat(255)))).status).toBe(201)
  })

  it('is refused with another body, media type, address, method, query, If-Match or other rights', async () => {
    await using lab = await open()
    const user = lab.app.as('u1')
    await user.post('/notes', { text: 'a' }, with_('k'))
    await user.post('/query?q=1', { text: 'a' }, with_('q'))
    await user.post('/guarded', { text: 'a' }, with_('g', { 'if-match': '"1"' }))
    await lab.app.as('u1 - read').post('/notes', { text: 'a' }, with_('s'))
    const refused = [
      user.post('/notes', { text: 'b' }, with_('k')),
      user.send('POST', '/notes', '{"text": "a"}', with_('k')),
      user.post('/notes', { text: 'a' }, with_('k', { 'content-type': 'application/merge-patch+json' })),
      user.post('/other', { text: 'a' }, with_('k')),
      user.put('/notes', { text: 'a' }, with_('k')),
      user.post('/query?q=2', { text: 'a' }, with_('q')),
      user.post('/query', { text: 'a' }, with_('q')),
      user.post('/guarded', { text: 'a' }, with_('g', { 'if-match': '"2"' })),
      user.post('/guarded', { text: 'a' }, with_('g')),
      lab.app.as('u1 - write').post('/notes', { text: 'a' }, with_('s')),
      user.post('/notes', { text: 'a' }, with_('s')),
    ]
    for (const reply of await Promise.all(refused))
      expect([reply.status, codeOf(reply)]).toEqual([409, 'idempotency.key_reused'])
    expect(lab.state.runs).toHaveLength(4)
  })

  it('belongs to one caller in one tenant: nobody else gets the answer or is disturbed', async () => {
    await using lab = await open()
    const callers = [`u1`, `u2`, `u1 ${tenantA}`, `u1 ${tenantB}`, `u2 ${tenantA}`]
    const answers: string[] = []
    for (const who of callers) {
      const reply = await lab.app.as(who).post('/notes', { text: 'order' }, with_('order-1'))
      expect([reply.status, reply.headers['idempotent-replayed']]).toEqual([201, undefined])
      answers.push(reply.text)
    }
    expect(lab.state.runs).toHaveLength(callers.length)
    for (const [n, who] of callers.entries())
      expect((await lab.app.as(who).post('/notes', { text: 'order' }, with_('order-1'))).text).toBe(answers[n])
  })

  it('is looked up after authentication and authorization: a stranger who knows it gets 401', async () => {
    await using lab = await open()
    await lab.app.as('u1').post('/notes', { text: 'secret' }, with_('k'))
    const reply = await lab.app.client.post('/notes', { text: 'secret' }, with_('k'))
    expect([reply.status, reply.headers['idempotent-replayed']]).toEqual([401, undefined])
    expect((await lab.app.as('u1').post('/notes', { text: 'secret' }, with_('k'))).headers['idempotent-replayed']).toBe(
      'true',
    )
  })

  it('of a caller who has not signed in must be random, and is good for one request alone', async () => {
    await using lab = await open()
    const { client } = lab.app
    for (const weak of ['order-1', '1', '11111111111111111111111', 'abcdefghijklmnopqrstuvwxyz']) {
      const reply = await client.post('/public', { text: 'a' }, with_(weak))
      expect([reply.status, codeOf(reply)]).toEqual([400, 'idempotency.key_guessable'])
    }
    const key = randomUUID()
    await client.post('/public', { text: 'a' }, with_(key))
    expect((await client.post('/public', { text: 'a' }, with_(key))).headers['idempotent-replayed']).toBe('true')
    // Not even a 409 tells a stranger that somebody uses this key.
    const other = await client.post('/public', { text: 'b' }, with_(key))
    expect([other.status, other.headers['idempotent-replayed']]).toEqual([201, undefined])
    expect(lab.state.runs).toEqual(['a', 'b'])
  })
})

describe('a route', () => {
  it('that demands a key refuses requests without one', async () => {
    await using lab = await open()
    const user = lab.app.as('u1')
    const without = await user.post('/required', { text: 'a' })
    expect([without.status, codeOf(without)]).toEqual([400, 'idempotency.key_required'])
    expect((await user.post('/required', { text: 'a' }, with_('k'))).status).toBe(201)
  })

  it('that refuses keys says so, and works without one', async () => {
    await using lab = await open()
    const user = lab.app.as('u1')
    const refused = await user.post('/refused', { text: 'a' }, with_('k'))
    expect([refused.status, codeOf(refused)]).toEqual([400, 'idempotency.key_refused'])
    expect((await user.post('/refused', { text: 'a' })).status).toBe(201)
  })

  it('that reads does not look at the header', async () => {
    await using lab = await open()
    expect((await lab.app.as('u1').get('/notes', with_('not a key'))).status).toBe(200)
  })

  it('documents header, refusals and the mark of a replay', async () => {
    await using lab = await open()
    const document = (await lab.app.client.get('/openapi.json')).body as unknown as {
      paths: Record<
        string,
        Record<string, { parameters: { $ref?: string }[]; responses: Record<string, { headers?: object }> }>
      >
    }
    const of = (url: string, method = 'post') => {
      const { parameters, responses } = document.paths[url]![method]!
      return [
        parameters.flatMap(({ $ref }) => ($ref?.includes('Idempotency') === true ? $ref.split('/').at(-1) : [])),
        ['400', '409', '410'].filter((status) => status in responses),
        Object.keys(responses['201']?.headers ?? {}).includes('Idempotent-Replayed'),
      ]
    }
    expect(of('/notes')).toEqual([['IdempotencyKey'], ['400', '409', '410'], true])
    expect(of('/required')).toEqual([['IdempotencyKeyRequired'], ['400', '409', '410'], true])
    expect(of('/refused')).toEqual([[], ['400'], false])
    expect(of('/notes', 'get')[0]).toEqual([])
  })
})

describe('an answer that is too large to keep', () => {
  it('says so, and is neither kept nor worked out again', async () => {
    await using lab = await open({ FORGE_IDEMPOTENCY_ANSWER_LIMIT: '1kb' })
    const user = lab.app.as('u1')
    const text = 'x'.repeat(2_000)
    const first = await user.post('/notes', { text }, with_('k'))
    expect([first.status, first.headers['idempotency-persisted']]).toEqual([201, 'false'])
    const again = await user.post('/notes', { text }, with_('k'))
    expect([again.status, again.body.error.meta]).toEqual([410, { reason: 'too_large' }])
    expect(lab.state.runs).toHaveLength(1)
  })
})
