import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CallOptions, Reply, TestApp, TestUser } from 'tsforge/testing'
import { ask, bytes, operationsOf, sampleOf, samples, sound, target, urlOf } from './target.ts'
import type { Operation, Sample } from './target.ts'

let app: TestApp
let operations: Operation[]
beforeAll(async () => {
  app = await target()
  operations = await operationsOf(app)
})
afterAll(() => app[Symbol.asyncDispose]())

/** What went otherwise than `expected`, for all operations at once. */
async function faults(
  which: (operation: Operation) => boolean,
  attack: (operation: Operation, sample: Sample, owner: TestUser) => Promise<Reply>,
  expected: (reply: Reply, operation: Operation) => unknown,
): Promise<string[]> {
  const found: string[] = []
  const chosen = operations.filter(which)
  expect(chosen.length).toBeGreaterThan(3)
  for (const operation of chosen) {
    const owner = await app.register()
    const sample = await sampleOf(operation, owner, app)
    const reply = await attack(operation, sample, owner)
    if (expected(reply, operation) !== true) found.push(`${operation.id}: ${reply.status} ${reply.text.slice(0, 200)}`)
  }
  return found
}

/** Others decide what they send there; what counts is its signature. */
const foreign: ReadonlySet<string> = new Set(['receiveTenantWebhook'])
const guarded = ({ guarded }: Operation): boolean => guarded
const answers =
  (status: number, code?: string) =>
  (reply: Reply): boolean =>
    reply.status === status && (code === undefined || reply.body.error.code === code)

// Each test calls all of them, several times: on a busy machine that takes longer than other tests may.
describe('every route of the document', { timeout: 300_000 }, () => {
  it('has a request that succeeds, so that a refusal below means something', async () => {
    expect(operations.map(({ id }) => id).sort()).toEqual(Object.keys(samples).sort())
    for (const operation of operations) {
      const owner = await app.register()
      const sample = await sampleOf(operation, owner, app)
      const client = operation.guarded ? owner : app.client
      expect([operation.id, (await ask(client, operation, sample)).status]).toEqual([operation.id, sample.status])
    }
  })

  const credentials: Readonly<Record<string, (owner: TestUser) => CallOptions>> = {
    none: () => ({ token: null }),
    'an empty bearer': () => ({ token: '' }),
    garbage: () => ({ token: 'garbage' }),
    'half of a token': ({ tokens }) => ({ token: tokens.access_token.slice(0, -20) }),
    'a refresh token': ({ tokens }) => ({ token: tokens.refresh_token }),
    'the token under another scheme': ({ tokens }) => ({
      token: null,
      headers: { authorization: `Basic ${tokens.access_token}` },
    }),
    'the token in a cookie': ({ tokens }) => ({
      token: null,
      headers: { cookie: `access_token=${tokens.access_token}; authorization=Bearer ${tokens.access_token}` },
    }),
    'e-mail and password as Basic': ({ email, password }) => ({
      token: null,
      headers: { authorization: `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}` },
    }),
    'a token with something behind it': ({ tokens }) => ({ token: `${tokens.access_token} x` }),
  }
  for (const [name, options] of Object.entries(credentials)) {
    it(`refuses ${name} with 401 and a challenge`, async () => {
      expect(
        await faults(
          guarded,
          (operation, sample, owner) => ask(owner, operation, sample, options(owner)),
          (reply) => reply.status === 401 && reply.headers['www-authenticate']?.startsWith('Bearer'),
        ),
      ).toEqual([])
    })
  }

  it('takes no token from the query', async () => {
    expect(
      await faults(
        guarded,
        async (operation, sample, owner) =>
          sound(
            await app.client.send(
              operation.method,
              `${urlOf(operation, sample)}?access_token=${owner.tokens.access_token}&token=${owner.tokens.access_token}`,
              sample.body && JSON.stringify(sample.body),
            ),
          ),
        answers(401),
      ),
    ).toEqual([])
  })

  it('refuses expired tokens', async () => {
    await using old = await target()
    const owner = await old.register()
    expect((await owner.get('/api/v1/auth/me')).status).toBe(200)
    await old.clock.advance(16 * 60_000)
    for (const operation of operations.filter(guarded)) {
      const sample = await sampleOf(operation, await old.register(), old)
      const reply = await ask(old.as(owner), operation, sample)
      expect([operation.id, reply.status, reply.body.error.code]).toEqual([operation.id, 401, 'auth.token_expired'])
    }
  })

  it('decides about the caller before it looks at the body', async () => {
    expect(
      await faults(
        (operation) => operation.guarded && operation.body !== undefined,
        async (operation, sample) =>
          sound(await app.client.send(operation.method, urlOf(operation, sample), '{"__proto__":')),
        answers(401),
      ),
    ).toEqual([])
  })

  it('that works in a tenant refuses malformed ones with 400, foreign ones like unknown ones with 403', async () => {
    const stranger = await app.register()
    const { body } = await stranger.get<{ items: { id: string }[] }>('/api/v1/tenants')
    const foreign = body.data.items[0]!.id
    const takes = ({ takesTenant }: Operation): boolean => takesTenant
    for (const tenant of [
      'global',
      '',
      '*',
      '0',
      'null',
      `${foreign}, ${foreign}`,
      `${foreign}\t`.repeat(2),
      '{}',
      'a'.repeat(10_000),
    ])
      expect(
        await faults(
          takes,
          (operation, sample, owner) => ask(owner, operation, sample, { tenant }),
          answers(400, 'tenant.invalid'),
        ),
      ).toEqual([])
    expect(
      await faults(
        takes,
        async (operation, sample, owner) => {
          const known = await ask(owner, operation, sample, { tenant: foreign })
          const unknown = await ask(owner, operation, sample, { tenant: '01890000-0000-7000-8000-000000000000' })
          expect(bytes(known)).toBe(bytes(unknown))
          return known
        },
        answers(403, 'tenant.forbidden'),
      ),
    ).toEqual([])
  })

  it('answers a foreign id with the very bytes of an unknown one', async () => {
    const eve = await app.register()
    expect(
      await faults(
        ({ guarded, params }) => guarded && params.length > 0,
        async (operation, sample) => {
          const foreign = await ask(eve, operation, sample)
          for (const name of operation.params) {
            const numbered = /^\d+$/.test(sample.params![name]!)
            const unknown = numbered ? '9007199254740991' : '01890000-0000-7000-8000-000000000000'
            const params = { ...sample.params, [name]: unknown }
            expect(bytes(await ask(eve, operation, { ...sample, params }))).toBe(bytes(foreign))
          }
          return foreign
        },
        ({ status }) => status === 403 || status === 404,
      ),
    ).toEqual([])
  })

  it('answers ids that are none with 422, or as it answers unknown ones', async () => {
    for (const id of ['1', '..', '%00', "' or 1=1--", '\ud83d\ude00', '{}', '-1', 'a'.repeat(500)])
      expect(
        await faults(
          ({ params }) => params.length > 0,
          (operation, sample, owner) => {
            const params = Object.fromEntries(operation.params.map((name) => [name, id]))
            return ask(owner, operation, { ...sample, params })
          },
          ({ status }) => status === 422 || status === 404 || status === 400,
        ),
      ).toEqual([])
  })

  it('answers other methods with 405 and says which it takes', async () => {
    const everything = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'SEARCH', 'LINK']
    for (const { path } of operations) {
      const own = operations.filter((operation) => operation.path === path).map(({ method }) => method)
      for (const method of everything.filter((each) => !own.includes(each))) {
        const url = path.replaceAll(/\{\w+\}/g, '01890000-0000-7000-8000-000000000000')
        const reply = sound(await app.client.send(method, url))
        expect([method, path, reply.status]).toEqual([method, path, 405])
        const allowed = reply.headers['allow']!.split(', ')
        expect(allowed.filter((each) => each !== 'HEAD' && each !== 'OPTIONS').sort()).toEqual([...own].sort())
      }
    }
  })

  it('takes nothing but JSON in UTF-8, uncompressed', async () => {
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/x-www-form-urlencoded' },
      { 'content-type': 'multipart/form-data; boundary=x' },
      { 'content-type': 'application/json; charset=utf-16' },
      { 'content-type': 'application/json, text/plain' },
      { 'content-type': 'application/jsonx' },
      { 'content-type': '' },
      { 'content-encoding': 'gzip' },
      { 'content-encoding': 'br' },
    ] as Record<string, string>[])
      expect(
        await faults(
          ({ body }) => body !== undefined,
          (operation, sample, owner) => ask(owner, operation, sample, { headers }),
          answers(415),
        ),
      ).toEqual([])
  })

  it('says 406 when nothing that is accepted can be made, and speaks problem details when asked', async () => {
    expect(
      await faults(
        () => true,
        (operation, sample, owner) => ask(owner, operation, sample, { headers: { accept: 'image/png' } }),
        answers(406),
      ),
    ).toEqual([])
    expect(
      await faults(
        // A stream is no JSON: who does not take it is told so first.
        (operation) => operation.guarded && operation.id !== 'openStream',
        (operation, sample) => ask(app.client, operation, sample, { headers: { accept: 'application/problem+json' } }),
        ({ status, headers }) => status === 401 && headers['content-type'] === 'application/problem+json',
      ),
    ).toEqual([])
  })

  it('reports unknown keys in body and query', async () => {
    expect(
      await faults(
        ({ body }) => body !== undefined,
        (operation, sample, owner) => ask(owner, operation, { ...sample, body: { ...sample.body, surprise: 1 } }),
        answers(422, 'http.validation_failed'),
      ),
    ).toEqual([])
    expect(
      await faults(
        ({ id }) => id !== 'getJwks' && !foreign.has(id),
        async (operation, sample, owner) =>
          sound(
            await owner.send(
              operation.method,
              `${urlOf(operation, sample)}?surprise=1`,
              sample.body && JSON.stringify(sample.body),
            ),
          ),
        answers(422, 'http.validation_failed'),
      ),
    ).toEqual([])
  })

  it('refuses bodies beyond the limit, and bodies where it takes none', async () => {
    const huge = JSON.stringify({ text: 'x'.repeat(1024 * 1024) })
    expect(
      await faults(
        ({ method }) => method !== 'GET',
        async (operation, sample, owner) => sound(await owner.send(operation.method, urlOf(operation, sample), huge)),
        answers(413),
      ),
    ).toEqual([])
    expect(
      await faults(
        ({ id, body, method }) => body === undefined && method !== 'GET' && !foreign.has(id),
        (operation, sample, owner) => ask(owner, operation, { ...sample, body: { id: 1 } }),
        answers(422),
      ),
    ).toEqual([])
    expect(
      await faults(
        ({ method }) => method === 'GET',
        (operation, sample, owner) => ask(owner, operation, { ...sample, body: { id: 1 } }),
        answers(400),
      ),
    ).toEqual([])
  })
})
