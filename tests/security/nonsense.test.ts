import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestApp, TestUser } from 'tsforge/testing'
import { ask, operationsOf, sampleOf, sound, target, urlOf } from './target.ts'
import type { Operation } from './target.ts'

/** A failure prints its seed; FORGE_TEST_SEED runs it again. */
const seed = Number(process.env['FORGE_TEST_SEED'] ?? 20_260_801)
const runs = 40

let app: TestApp
let ada: TestUser
let operations: Operation[]
beforeAll(async () => {
  app = await target({ FORGE_HTTP_SHEDDING: 'false' })
  ada = await app.register()
  operations = await operationsOf(app)
})
afterAll(() => app[Symbol.asyncDispose]())

// Each request from another network, so that no throttle stands before what is tried.
let networks = 0
const elsewhere = (): { headers: Record<string, string> } => ({
  headers: { 'x-forwarded-for': `2001:db8:${(++networks % 65_536).toString(16)}::1` },
})

const nastyText = fc.constantFrom(
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\udfff\ud800',
  '\uffff\ufeff',
  '\u202e\u2066',
  'é'.repeat(300),
  '\u0130'.repeat(130),
  '\u{1f600}'.repeat(120),
  "' or 1=1 --",
  '$1',
  '$$',
  '\\',
  '%',
  '_',
  '%s%n',
  '{{7*7}}',
  '${7*7}',
  '<script>alert(1)</script>',
  '=cmd|x',
  '__proto__',
  'constructor',
  '9223372036854775808',
  '-1',
  '1e400',
  'NaN',
  'null',
  '2026-02-30T25:61:61Z',
  '00000000-0000-0000-0000-000000000000',
  'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
  'a@b.cd',
  `${'a'.repeat(64)}@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(55)}.de`,
  'x'.repeat(1024),
  'x'.repeat(50_000),
)
const nastyNumber = fc.constantFrom(0, -0, -1, 1.5, 2 ** 31, 2 ** 53, 2 ** 63, 1e308, 5e-324)
const nasty = fc.oneof(
  { weight: 5, arbitrary: nastyText },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  { weight: 2, arbitrary: nastyNumber },
  { weight: 1, arbitrary: fc.constantFrom(null, true, false, [], {}, [null], [[[[]]]], { a: { b: 1 } }) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
)

/** JSON that parsers disagree about or that costs more than it looks. */
const rawBodies: readonly string[] = [
  '',
  ' ',
  'null',
  '[]',
  '""',
  '0',
  '{',
  '{"a":1,}',
  '{"a":1}{"b":2}',
  '{"a":1,"a":2}',
  '{"email":"a@b.cd","email":"b@b.cd","password":"x"}',
  '{"a":1e400}',
  `{"a":${'9'.repeat(5_000)}}`,
  `{"a":${'['.repeat(65)}${']'.repeat(65)}}`,
  '['.repeat(100_000),
  `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
  `{${Array.from({ length: 50_000 }, (_, n) => `"k${n}":${n}`).join()}}`,
  `[${'0,'.repeat(400_000)}0]`,
  `{"a":"${'\\u0000'.repeat(100)}"}`,
  '{"\\u0000":1}',
  '{"a":"\\ud800"}',
  '\ufeff{}',
  '{"a":NaN}',
  '{"a":Infinity}',
  "{'a':1}",
  '{"a":/*x*/1}',
  '{"a":"\u0001"}',
]

// Thousands of requests each: on a busy machine that takes longer than other tests may.
describe('nonsense', { timeout: 300_000 }, () => {
  it('in a body gets 4xx from every route that takes one, and pollutes nothing', async () => {
    const keys = Object.keys(Object.prototype)
    for (const operation of operations.filter(({ body }) => body !== undefined)) {
      const sample = await sampleOf(operation, await app.register(), app)
      for (const raw of rawBodies) {
        const reply = sound(await ada.send(operation.method, urlOf(operation, sample), raw, elsewhere()))
        expect([operation.id, raw.slice(0, 60), Math.trunc(reply.status / 100)]).toEqual([
          operation.id,
          raw.slice(0, 60),
          4,
        ])
      }
    }
    expect(Object.keys(Object.prototype)).toEqual(keys)
  })

  it('in any field of a right body never gets a 5xx, nor a word of the inside', async () => {
    for (const operation of operations.filter(({ body, id }) => body !== undefined && id !== 'changePassword')) {
      const owner = await app.register()
      const sample = await sampleOf(operation, owner, app)
      const seen = new Set<number>()
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...Object.keys(operation.body!.properties)), nasty, async (key, value) => {
          const reply = await ask(owner, operation, { ...sample, body: { ...sample.body, [key]: value } }, elsewhere())
          seen.add(reply.status)
        }),
        { seed, numRuns: runs },
      )
      expect([operation.id, [...seen].some((status) => status === 422 || status === 400)]).toEqual([operation.id, true])
    }
  })

  it('in a query, a header or an id never gets a 5xx', async () => {
    const text = fc.oneof(nastyText, fc.string({ unit: 'binary', maxLength: 60 }), nastyNumber.map(String))
    const names = [
      'limit',
      'cursor',
      'offset',
      'sort',
      'total',
      'filter',
      'fields',
      'limit[]',
      '__proto__',
      'sort[x]',
      '',
    ]
    const list = operations.find(({ id }) => id === 'listNotes')!
    expect((await ask(ada, list, { status: 200 })).status).toBe(200)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...names), text), { maxLength: 4 }), async (pairs) => {
        const query = pairs.map(
          ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value.toWellFormed().slice(0, 2_000))}`,
        )
        sound(await ada.send('GET', `/api/v1/notes?${query.join('&')}`))
      }),
      { seed, numRuns: 200 },
    )
    for (const sort of [
      'password_hash',
      'tenant_id',
      'deleted_at',
      'id;select',
      '(select pg_sleep(3))',
      'id,id',
      '--id',
      'id desc',
      "id'",
    ])
      expect([sort, (await ada.get(`/api/v1/notes?sort=${encodeURIComponent(sort)}`)).status]).toEqual([sort, 400])
    for (const limit of ['-1', '0', '1.5', '1e3000', '9223372036854775808', 'NaN', '0x10', '١', ''])
      expect([limit, (await ada.get(`/api/v1/notes?limit=${encodeURIComponent(limit)}`)).status]).toEqual([limit, 422])
    expect((await ada.get(`/api/v1/notes?${'sort=id&'.repeat(10_000)}`)).status).toBeGreaterThanOrEqual(400)
    const headers = [
      'if-match',
      'if-none-match',
      'accept',
      'accept-language',
      'traceparent',
      'user-agent',
      'origin',
      'range',
      'expect',
    ]
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...headers), text, async (name, value) => {
        const safe = value.replace(/[^\x20-\x7e\x80-\xff]/g, '').slice(0, 8_000)
        sound(await ada.get('/api/v1/notes', { headers: { [name]: safe } }))
        sound(
          await ada.patch(
            '/api/v1/notes/01890000-0000-7000-8000-000000000000',
            { pinned: true },
            { headers: { [name]: safe } },
          ),
        )
      }),
      { seed, numRuns: 150 },
    )
  })

  it('of 50 kB in every text costs no more than its own reading', async () => {
    // Shapes on which careless patterns take quadratic or exponential time; the run's own limit is the judge.
    const evil = [
      'a',
      '-',
      ' ',
      '.',
      '@',
      'a.',
      'a-',
      '\t',
      '"',
      '\\',
      '%',
      ';',
      ',',
      '0',
      '\u0130',
      '(',
      '[',
      'é ',
      ':/',
    ]
    const texts = evil.flatMap((piece) => {
      const long = piece.repeat(50_000 / piece.length)
      return [long, `${long}!`, `a@${long}`, `${long}@b.cd`]
    })
    for (const operation of operations.filter(({ body, id }) => body !== undefined && id !== 'changePassword')) {
      const owner = await app.register()
      const sample = await sampleOf(operation, owner, app)
      for (const key of Object.keys(operation.body!.properties))
        for (const text of texts) {
          const reply = await ask(owner, operation, { ...sample, body: { ...sample.body, [key]: text } }, elsewhere())
          // A note's text may be long; nothing else may.
          if (key !== 'body') expect([operation.id, key, reply.status]).toEqual([operation.id, key, 422])
        }
    }
  })

  it('leaves no memory behind that grows with it', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const measure = async (): Promise<number> => {
      // Requests without sockets follow each other within one turn of the event loop, which keeps what it has touched.
      for (let turn = 0; turn < 3; turn++) await setImmediate()
      collect()
      return process.memoryUsage().heapUsed
    }
    const storm = async (from: number): Promise<void> => {
      for (let n = from; n < from + 1500; n++) {
        const headers = {
          'user-agent': `agent ${n} ${'x'.repeat(400)}`,
          'accept-language': `x-${n};q=0.1`,
          accept: `a/b${n}, */*`,
          'x-tenant-id': `01890000-0000-7000-8000-${String(n).padStart(12, '0')}`,
          origin: `https://o${n}.test`,
          'content-type': `application/json; x=${n}`,
        }
        await ada.with({ headers }).get(`/api/v1/notes?cursor=${n}`)
        await app.client.with({ headers }).post(`/made/up/${n}`, { [`key${n}`]: n })
        await app.as(`a.b${n}.c`).get('/api/v1/auth/me')
      }
    }
    await storm(0)
    const growth: number[] = []
    for (let round = 1; round <= 3; round++) {
      const before = await measure()
      const lines = app.logged.length
      await storm(round * 10_000)
      // The lab keeps the lines it has caught; they are not the app's.
      growth.push((await measure()) - before - (app.logged.length - lines) * 1_500)
    }
    // A leak shows in every round, a cache that fills up (or a database inside of the process) in some.
    expect(Math.min(...growth)).toBeLessThan(4 * 1024 * 1024)
  })
})
