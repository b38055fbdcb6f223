import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import { violatedUnique } from '../../db/index.ts'
import type { Db } from '../../db/index.ts'
import type { RunningKeys } from '../create-keys.ts'
import { keyRotated } from '../events.ts'
import type { Algorithm } from '../keys.ts'
import { eventually, replicasOf, withQuery } from './database.ts'
import type { Replicas } from './database.ts'
import { options, replica } from './setup.ts'

const minute = 60_000
const day = 86_400_000
const at = { type: 'at+jwt', ttlMs: 15 * minute } as const
const kidOf = (token: string) => decodeProtectedHeader(token).kid

let database: Replicas
let db: Db
let clock: FakeClock
let running: RunningKeys[]

beforeAll(async () => {
  database = await replicasOf({ module: 'keys', directory: new URL('../migrations/', import.meta.url) })
  db = database.connect()
})
afterAll(() => database[Symbol.asyncDispose]())
beforeEach(async () => {
  await db.query('truncate forge_keys_signing_keys')
  clock = createFakeClock(Date.now())
  running = []
})
afterEach(() => Promise.all(running.map((keys) => keys.stop())))

async function started(overrides: Parameters<typeof replica>[2] = {}, on: Db = db): Promise<RunningKeys> {
  const keys = replica(on, clock, overrides)
  running.push(keys)
  await keys.start()
  return keys
}
const states = async () =>
  (
    await db.query<{ state: string; n: number }>(
      'select state, count(*)::int as n from forge_keys_signing_keys group by state order by state',
    )
  ).rows

describe('first boot', () => {
  test('fifty replicas that start together make one active and one next key', async () => {
    const replicas = Array.from({ length: 50 }, () => replica(db, clock))
    await Promise.all(replicas.map(async (keys) => keys.sign({ sub: 'u' }, at)))
    expect(await states()).toEqual([
      { state: 'active', n: 1 },
      { state: 'next', n: 1 },
    ])
    const kids = new Set(await Promise.all(replicas.map(async (keys) => kidOf(await keys.sign({ sub: 'u' }, at)))))
    expect(kids.size).toBe(1)
  })

  test('the table itself refuses a second active and a second next key', async () => {
    await started()
    for (const state of ['active', 'next']) {
      await expect(
        db.query(
          `insert into forge_keys_signing_keys (kid, algorithm, state, public_jwk, private_jwk, created_at, not_before, activated_at)
           values ('x', 'EdDSA', $1, '{}', 'x', now(), now(), $2)`,
          [state, state === 'active' ? new Date() : null],
        ),
      ).rejects.toSatisfy((error) => violatedUnique(error) === 'forge_keys_signing_keys_one_of_each')
    }
  })

  test('the private half does not lie in the table in clear, and only opens for its own kid', async () => {
    await started()
    const { rows } = await db.query<{ kid: string; private_jwk: string; public_jwk: object }>(
      'select * from forge_keys_signing_keys',
    )
    expect(rows).toHaveLength(2)
    for (const row of rows) expect(Object.keys(row.public_jwk).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    await db.query(
      `update forge_keys_signing_keys set private_jwk = (select private_jwk from forge_keys_signing_keys where state = 'next') where state = 'active'`,
    )
    await expect(replica(db, clock).start()).rejects.toMatchObject({ code: 'secrets.unreadable' })
  })
})

describe('rotation', () => {
  test('promotes the published key, and old tokens live until they expire', async () => {
    const keys = await started()
    const before = await keys.list()
    const old = await keys.sign({ sub: 'u' }, { ...at, ttlMs: 60 * minute })
    await clock.advance(11 * minute)
    const rotation = await keys.rotate()
    expect(rotation.rotated).toBe(true)
    expect(rotation.active).toBe(before.find((key) => key.state === 'next')?.kid)
    expect(kidOf(await keys.sign({ sub: 'u' }, at))).toBe(rotation.active)
    expect((await keys.verify(old, at)).claims.sub).toBe('u')
    expect((await keys.jwks()).keys.map((key) => key.kid).sort()).toEqual(
      [kidOf(old), rotation.active, rotation.next].sort(),
    )
  })

  test('a retired key verifies until it expires, then verifies no more and leaves the key set', async () => {
    const keys = await started()
    await clock.advance(11 * minute)
    // Made by a replica that has not heard of the rotation yet, and with the longest life that there is.
    const stale = replica(database.connect(), clock)
    await stale.sign({ sub: 'u' }, at)
    await keys.rotate()
    await clock.advance(29_000)
    const late = await stale.sign({ sub: 'late' }, { ...at, ttlMs: 60 * minute })
    await clock.advance(60 * minute - 1)
    expect((await keys.verify(late, at)).claims.sub).toBe('late')
    await clock.advance(6_001)
    expect(() => keys.verify(late, at)).toThrow(expect.objectContaining({ code: 'auth.token_invalid' }))
    expect((await keys.jwks()).keys.map((key) => key.kid)).not.toContain(kidOf(late))
    expect((await keys.list()).map((key) => key.kid)).not.toContain(kidOf(late))
  })

  test('of fifty calls at once on five replicas exactly one rotates', async () => {
    const replicas = await Promise.all(Array.from({ length: 5 }, () => started({}, database.connect())))
    await clock.advance(11 * minute)
    const events: unknown[] = []
    const note = (message: unknown) => void events.push(message)
    keyRotated.subscribe(note)
    const results = await Promise.all(Array.from({ length: 50 }, (_, i) => replicas[i % 5]!.rotate({ now: true })))
    keyRotated.unsubscribe(note)
    expect(results.filter((result) => result.rotated)).toHaveLength(1)
    expect(events).toHaveLength(1)
    expect(await states()).toEqual([
      { state: 'active', n: 1 },
      { state: 'next', n: 1 },
      { state: 'retired', n: 1 },
    ])
  })

  test('refuses to use a key that foreign caches cannot know yet, unless told to', async () => {
    const keys = await started()
    await expect(keys.rotate()).rejects.toMatchObject({ code: 'keys.rotation_too_soon', retryAfterMs: 10 * minute })
    expect(await states()).toEqual([
      { state: 'active', n: 1 },
      { state: 'next', n: 1 },
    ])
    expect((await keys.rotate({ now: true })).rotated).toBe(true)
  })

  test('a rotation inside a transaction that rolls back has not happened', async () => {
    const keys = await started()
    const token = await keys.sign({ sub: 'u' }, at)
    await expect(
      db.tx(async (tx) => {
        expect((await keys.rotate({ now: true }, tx)).rotated).toBe(true)
        throw new Error('undo')
      }),
    ).rejects.toThrow('undo')
    expect(await states()).toEqual([
      { state: 'active', n: 1 },
      { state: 'next', n: 1 },
    ])
    expect(kidOf(await keys.sign({ sub: 'u' }, at))).toBe(kidOf(token))
  })

  test('happens by itself when the key is old enough, once for all replicas', async () => {
    const replicas = await Promise.all([started(), started({}, database.connect()), started({}, database.connect())])
    const old = kidOf(await replicas[0]!.sign({ sub: 'u' }, at))
    clock.jump(clock.now() + 30 * day - minute)
    await clock.advance(30_000)
    await eventually(async () =>
      expect(await states()).toEqual([
        { state: 'active', n: 1 },
        { state: 'next', n: 1 },
      ]),
    )
    await clock.advance(30_000)
    await eventually(async () => {
      for (const keys of replicas) expect(kidOf(await keys.sign({ sub: 'u' }, at))).not.toBe(old)
    })
    expect(await states()).toEqual([
      { state: 'active', n: 1 },
      { state: 'next', n: 1 },
      { state: 'retired', n: 1 },
    ])
  })

  test('erases the private half of a retired key', async () => {
    const keys = await started()
    await keys.rotate({ now: true })
    const { rows } = await db.query(`select private_jwk from forge_keys_signing_keys where state = 'retired'`)
    expect(rows).toEqual([{ private_jwk: null }])
  })

  test('rows of expired keys are deleted a day later', async () => {
    const keys = await started()
    await keys.rotate({ now: true })
    clock.jump(clock.now() + 2 * day)
    await clock.advance(30_000)
    await eventually(async () =>
      expect(await states()).toEqual([
        { state: 'active', n: 1 },
        { state: 'next', n: 1 },
      ]),
    )
  })
})

describe('replicas', () => {
  test('hear of a rotation without being asked', async () => {
    const a = await started()
    const b = await started({}, database.connect())
    await b.sign({ sub: 'u' }, at)
    const { active } = await a.rotate({ now: true })
    await eventually(async () => expect(kidOf(await b.sign({ sub: 'u' }, at))).toBe(active))
  })

  test('without notifications find a new key when the first token of it arrives', async () => {
    const a = await started()
    const deaf = replica(database.connect(), clock)
    await deaf.sign({ sub: 'u' }, at)
    await a.rotate({ now: true })
    await a.rotate({ now: true })
    const token = await a.sign({ sub: 'new' }, at)
    expect((await deaf.verify(token, at)).claims.sub).toBe('new')
  })

  test('a thousand random kids cost one query', async () => {
    const reads = vi.fn()
    const other = database.connect()
    const counting = withQuery(other, (text, values) => (reads(), other.query(text, values)))
    const keys = replica(counting, clock)
    const token = await keys.sign({ sub: 'u' }, at)
    reads.mockClear()
    const [, payload, signature] = token.split('.')
    const attempts = Array.from({ length: 1000 }, async (_, i) => {
      const header = Buffer.from(JSON.stringify({ alg: 'EdDSA', kid: `kid${i}`, typ: 'at+jwt' })).toString('base64url')
      return await keys.verify(`${header}.${payload}.${signature}`, at)
    })
    for (const result of await Promise.allSettled(attempts))
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'auth.token_invalid' } })
    expect(reads).toHaveBeenCalledTimes(1)
    await clock.advance(5_000)
    await expect(
      (async () =>
        keys.verify(
          `${Buffer.from('{"alg":"EdDSA","kid":"k","typ":"at+jwt"}').toString('base64url')}.${payload}.${signature}`,
          at,
        ))(),
    ).rejects.toThrow()
    expect(reads).toHaveBeenCalledTimes(2)
  })

  test('keep signing and verifying with known keys while the database is away; unknown kids get 503', async () => {
    let down = false
    const other = database.connect()
    const flaky = withQuery(other, (text, values) =>
      down ? Promise.reject(new Error('down')) : other.query(text, values),
    )
    const keys = replica(flaky, clock)
    const token = await keys.sign({ sub: 'u' }, at)
    const foreign = await started()
    await foreign.rotate({ now: true })
    await foreign.rotate({ now: true })
    const unknown = await foreign.sign({ sub: 'new' }, at)
    down = true
    expect((await keys.verify(token, at)).claims.sub).toBe('u')
    for (let i = 0; i < 3; i++)
      await expect((async () => keys.verify(unknown, at))()).rejects.toMatchObject({ code: 'keys.unavailable' })
    down = false
    await clock.advance(5_000)
    expect((await keys.verify(unknown, at)).claims.sub).toBe('new')
  })

  test('accept clocks that are apart by less than the leeway, and no more', async () => {
    const a = await started({ leewayMs: 60_000 })
    const ahead = createFakeClock(clock.now() + 60_000)
    const b = replica(db, ahead, { leewayMs: 60_000 })
    const fromFuture = await b.sign({ sub: 'u' }, at)
    expect((await a.verify(fromFuture, at)).claims.sub).toBe('u')
    await ahead.advance(1_000)
    const tooFar = await b.sign({ sub: 'u' }, at)
    expect(() => a.verify(tooFar, at)).toThrow(expect.objectContaining({ code: 'auth.token_invalid' }))
  })
})

describe('revoke', () => {
  test('ends an active key at once, its cached tokens included', async () => {
    const keys = await started()
    const token = await keys.sign({ sub: 'u' }, at)
    await keys.verify(token, at)
    await keys.revoke(kidOf(token)!)
    expect(keys.cache.size).toBe(0)
    await expect((async () => keys.verify(token, at))()).rejects.toMatchObject({ code: 'auth.token_invalid' })
    expect((await keys.jwks()).keys.map((key) => key.kid)).not.toContain(kidOf(token))
    expect((await keys.verify(await keys.sign({ sub: 'u' }, at), at)).claims.sub).toBe('u')
  })

  test('replaces a next key, and knows nothing of strangers', async () => {
    const keys = await started()
    const next = (await keys.list()).find((key) => key.state === 'next')!
    await keys.revoke(next.kid)
    expect((await keys.list()).map((key) => key.kid)).not.toContain(next.kid)
    expect(await states()).toEqual([
      { state: 'active', n: 1 },
      { state: 'next', n: 1 },
    ])
    await expect(keys.revoke('nobody')).rejects.toMatchObject({ code: 'keys.unknown' })
  })

  test('finds a next key that another replica has made the active one meanwhile', async () => {
    const [keys, unaware] = [await started(), replica(db, clock)]
    await unaware.sign({ sub: 'u' }, at)
    const next = (await keys.list()).find((key) => key.state === 'next')!
    await keys.rotate({ now: true })
    await unaware.revoke(next.kid)
    expect((await unaware.jwks()).keys.map((key) => key.kid)).not.toContain(next.kid)
    expect(kidOf(await unaware.sign({ sub: 'u' }, at))).not.toBe(next.kid)
    expect(await states()).toMatchObject([{ state: 'active' }, { state: 'next' }, { state: 'retired' }])
  })
})

describe('algorithms', () => {
  test.each<Algorithm>(['EdDSA', 'ES256', 'RS256', 'HS256'])('%s signs, verifies and rotates', async (algorithm) => {
    const keys = await started({ algorithm })
    const token = await keys.sign({ sub: 'u', sid: 's' }, at)
    expect(decodeProtectedHeader(token)).toEqual({ alg: algorithm, kid: expect.any(String), typ: 'at+jwt' })
    await keys.rotate({ now: true })
    const fresh = replica(database.connect(), clock, { algorithm })
    expect((await fresh.verify(token, at)).claims).toMatchObject({
      sub: 'u',
      sid: 's',
      iss: options.issuer,
      aud: options.audience,
    })
    const jwks = (await keys.jwks()).keys
    expect(jwks).toHaveLength(algorithm === 'HS256' ? 0 : 3)
    for (const jwk of jwks)
      for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) expect(jwk).not.toHaveProperty(secret)
  })

  test('a change of algorithm takes effect with the next rotation, both kinds side by side', async () => {
    const first = await started({ algorithm: 'HS256' })
    const hmac = await first.sign({ sub: 'h' }, at)
    const second = await started({ algorithm: 'EdDSA' })
    await second.rotate({ now: true })
    const eddsa = await second.sign({ sub: 'e' }, at)
    expect(decodeProtectedHeader(eddsa).alg).toBe('EdDSA')
    expect((await second.verify(hmac, at)).claims.sub).toBe('h')
    expect((await second.verify(eddsa, at)).claims.sub).toBe('e')
  })
})

test('a foreign JOSE library verifies every token from the served key set over a rotation', async () => {
  const keys = await started({ rotateEveryMs: day })
  const server = createServer((_, response) => void keys.jwks().then((set) => response.end(JSON.stringify(set))))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // Loads once and never again: only a key that was published before its first use can be found.
  const remote = createRemoteJWKSet(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), {
    cacheMaxAge: Infinity,
    cooldownDuration: Infinity,
  })
  const kids = new Set<string>()
  try {
    for (let hour = 0; hour < 30; hour++) {
      const token = await keys.sign({ sub: `user-${hour}` }, { ...at, ttlMs: 60 * minute })
      const { payload, protectedHeader } = await jwtVerify(token, remote, {
        issuer: options.issuer,
        audience: options.audience,
        typ: 'at+jwt',
        algorithms: ['EdDSA'],
        currentDate: new Date(clock.now()),
      })
      expect(payload.sub).toBe(`user-${hour}`)
      kids.add(protectedHeader.kid!)
      clock.jump(clock.now() + 60 * minute)
      await clock.advance(30_000)
      await eventually(async () =>
        expect((await keys.list()).find((key) => key.state === 'active')!.activatedAt!.getTime()).toBeGreaterThan(
          clock.now() - day,
        ),
      )
      await keys.jwks()
    }
  } finally {
    server.close()
  }
  expect(kids.size).toBe(2)
})
