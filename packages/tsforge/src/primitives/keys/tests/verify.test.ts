import { createPublicKey, createSecretKey } from 'node:crypto'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import type { Db } from '../../db/index.ts'
import type { RunningKeys } from '../create-keys.ts'
import type { Algorithm, Verified } from '../keys.ts'
import { replicasOf } from './database.ts'
import type { Replicas } from './database.ts'
import { forge, forgeries, privateKeyOf } from './forgeries.ts'
import type { Material } from './forgeries.ts'
import { options, replica, secrets } from './setup.ts'

const at = { type: 'at+jwt', ttlMs: 900_000 } as const
const algorithms: Algorithm[] = ['EdDSA', 'ES256', 'RS256', 'HS256']

let database: Replicas
let db: Db
let server: Server
let requests = 0

beforeAll(async () => {
  database = await replicasOf({ module: 'keys', directory: new URL('../migrations/', import.meta.url) })
  db = database.connect()
  server = createServer((_, response) => {
    requests++
    response.end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  server.close()
  await database[Symbol.asyncDispose]()
})

async function fresh(algorithm: Algorithm = 'EdDSA', overrides: Parameters<typeof replica>[2] = {}) {
  await db.query('truncate forge_keys_signing_keys')
  const clock = createFakeClock()
  const keys = replica(db, clock, { algorithm, ...overrides })
  const token = await keys.sign({ sub: 'user', sid: 'session' }, at)
  return { keys, clock, token }
}

async function materialOf(token: string, algorithm: Algorithm): Promise<Material> {
  const { rows } = await db.query<{ kid: string; public_jwk: Record<string, string>; private_jwk: string }>(
    `select kid, public_jwk, private_jwk from forge_keys_signing_keys where state = 'active'`,
  )
  const { kid, public_jwk, private_jwk } = rows[0]!
  const jwk = JSON.parse(secrets.open('keys', private_jwk, kid).toString()) as Record<string, string>
  const { port } = server.address() as AddressInfo
  return {
    token,
    algorithm,
    kid,
    publicJwk: public_jwk,
    privateKey: privateKeyOf(algorithm, jwk, createSecretKey),
    listener: `http://127.0.0.1:${port}`,
  }
}

/** With another character in the middle of the signature. */
function tampered(token: string): string {
  const at = token.length - 20
  return token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1)
}

/** Outcome in words, whether thrown or rejected. */
async function outcome(
  keys: RunningKeys,
  token: unknown,
  expected: Parameters<RunningKeys['verify']>[1] = at,
): Promise<string> {
  try {
    return (await keys.verify(token as string, expected)).claims.sub
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

describe.each(algorithms)('forged %s tokens', (algorithm) => {
  test('are all refused, alike and without a word to anybody; the genuine one is accepted before and after', async () => {
    requests = 0
    const { keys, token } = await fresh(algorithm)
    const material = await materialOf(token, algorithm)
    const list = forgeries(material)
    expect(new Set(list.map(([name]) => name)).size).toBe(list.length)
    expect(list.length).toBeGreaterThan(100)
    // The tool that signs forgeries can also sign what is accepted, so it is the forgery that is refused.
    expect(await outcome(keys, forge(material).genuine())).toBe('user')
    expect(await outcome(keys, token)).toBe('user')
    const refused: Record<string, string> = {}
    for (const [name, forged] of list) {
      expect([name, forged]).not.toEqual([name, token])
      refused[name] = await outcome(keys, forged)
    }
    expect(refused).toEqual(
      Object.fromEntries(
        list.map(([name]) => [name, name === 'expired' ? 'auth.token_expired' : 'auth.token_invalid']),
      ),
    )
    expect(requests).toBe(0)
    expect(await outcome(keys, token)).toBe('user')
    expect(({} as Record<string, unknown>).sub).toBeUndefined()
  })

  test('no change of a single character is accepted', async () => {
    const { keys, token } = await fresh(algorithm)
    for (let i = 0; i < token.length; i++) {
      const changed = token.slice(0, i) + (token[i] === 'A' ? 'B' : 'A') + token.slice(i + 1)
      expect(await outcome(keys, changed), `character ${i}`).toBe('auth.token_invalid')
    }
  })
})

test('whatever we accept of mutated tokens, jose accepts as well, and the same claims', async () => {
  const { keys, token, clock } = await fresh()
  const material = await materialOf(token, 'EdDSA')
  const { genuine, claims } = forge(material)
  const publicKey = createPublicKey(material.privateKey)
  const seconds = Math.floor(clock.now() / 1000)
  const mostly = <T, U>(usual: T, other: fc.Arbitrary<U>) =>
    fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other })
  const time = fc.oneof(
    fc.integer({ min: seconds - 20, max: seconds + 20 }),
    fc.constantFrom(undefined, null, '1', -1, 1.5, seconds + 900, Number.MAX_SAFE_INTEGER),
  )
  const change = fc.record({
    claims: fc.record({
      exp: mostly(seconds + 900, time),
      nbf: mostly(seconds, time),
      iat: mostly(seconds, time),
      iss: mostly(options.issuer, fc.constantFrom('x', undefined, 1)),
      aud: mostly(options.audience, fc.constantFrom('x', undefined, [options.audience])),
      sub: mostly('user', fc.constantFrom('', undefined, 7)),
      extra: fc.jsonValue(),
    }),
    header: fc.record({
      alg: mostly('EdDSA', fc.constantFrom('none', 'HS256')),
      kid: fc.constant(material.kid),
      typ: mostly('at+jwt', fc.constantFrom('JWT', 'at+JWT')),
      crit: mostly(undefined, fc.constant(['x'])),
    }),
    cut: mostly(undefined, fc.nat({ max: 400 })),
    insert: mostly(undefined, fc.tuple(fc.nat({ max: 400 }), fc.string({ minLength: 1, maxLength: 2 }))),
  })
  let accepted = 0
  const codes = new Set<string | undefined>()
  await fc.assert(
    fc.asyncProperty(change, async (c) => {
      let mutated = genuine(c.header, { ...claims, ...c.claims })
      if (c.cut !== undefined) mutated = mutated.slice(0, c.cut)
      if (c.insert !== undefined) mutated = mutated.slice(0, c.insert[0]) + c.insert[1] + mutated.slice(c.insert[0])
      let ours: Verified | undefined
      try {
        ours = await keys.verify(mutated, at)
      } catch (error) {
        codes.add((error as { code?: string }).code)
      }
      const theirs = await jwtVerify(mutated, publicKey, {
        issuer: options.issuer,
        audience: options.audience,
        typ: 'at+jwt',
        algorithms: ['EdDSA'],
        currentDate: new Date(clock.now()),
        clockTolerance: 5,
        requiredClaims: ['exp', 'iat', 'nbf', 'sub'],
      }).catch(() => undefined)
      if (ours === undefined) return
      accepted++
      expect(theirs?.payload).toEqual(ours.claims)
    }),
    { numRuns: 1500 },
  )
  expect(accepted).toBeGreaterThan(300)
  expect([...codes].sort()).toEqual(['auth.token_expired', 'auth.token_invalid'])
})

test('a token is good from its issue to its expiry, give or take the leeway', async () => {
  const { keys, clock, token } = await fresh()
  await clock.advance(900_000 + 4_999)
  expect(await outcome(keys, token)).toBe('user')
  await clock.advance(1)
  expect(await outcome(keys, token)).toBe('auth.token_expired')
  expect(await outcome(replica(db, clock), token)).toBe('auth.token_expired')
  clock.jump(clock.now() - 900_000 - 5_000 - 5_001)
  expect(await outcome(keys, token)).toBe('auth.token_invalid')
})

test('an expired forgery is not called expired', async () => {
  const { keys, clock, token } = await fresh()
  await clock.advance(3_000_000)
  expect(await outcome(keys, tampered(token))).toBe('auth.token_invalid')
  expect(await outcome(keys, token, { type: 'mfa+jwt' })).toBe('auth.token_invalid')
})

test('tokens of one purpose or audience are refused for every other, cached or not', async () => {
  const { keys } = await fresh()
  const purposes = ['at+jwt', 'mfa+jwt', 'reset+jwt', 'invite+jwt', 'id+jwt'] as const
  for (let round = 0; round < 2; round++) {
    for (const made of purposes) {
      const token = await keys.sign({ sub: made }, { ...at, type: made })
      for (const asked of purposes)
        expect(await outcome(keys, token, { type: asked })).toBe(made === asked ? made : 'auth.token_invalid')
      expect(await outcome(keys, token, { type: made, audience: 'other' })).toBe('auth.token_invalid')
      const foreign = await keys.sign({ sub: 'f' }, { ...at, type: made, audience: 'other' })
      expect(await outcome(keys, foreign, { type: made })).toBe('auth.token_invalid')
      expect(await outcome(keys, foreign, { type: made, audience: 'other' })).toBe('f')
    }
  }
})

describe('signing and verifying', () => {
  test('are synchronous once the keys are in memory', async () => {
    const { keys, token } = await fresh()
    expect(keys.sign({ sub: 'u' }, at)).toBeTypeOf('string')
    expect(keys.verify(token, at)).not.toBeInstanceOf(Promise)
  })

  test('cannot be talked out of the registered claims', async () => {
    const { keys } = await fresh()
    const token = await keys.sign({ sub: 'u', iss: 'evil', exp: 9_999_999_999, aud: 'x', jti: 'mine' }, at)
    const { claims, expiresAt } = await keys.verify(token, at)
    expect(claims).toMatchObject({ iss: options.issuer, aud: options.audience, exp: Math.floor(expiresAt / 1000) })
    expect(claims.exp - claims.iat).toBe(900)
    expect(claims.jti).not.toBe('mine')
  })

  test.each([0, -1, Number.NaN, 3_600_001])('refuse a life of %s ms', async (ttlMs) => {
    const { keys } = await fresh()
    expect(() => keys.sign({ sub: 'u' }, { type: 'at+jwt', ttlMs })).toThrow(RangeError)
  })

  test('refuse to make a token that verification would refuse for its length', async () => {
    const { keys } = await fresh()
    expect(() => keys.sign({ sub: 'u', pad: 'x'.repeat(9000) }, at)).toThrow(RangeError)
  })

  test('give out claims that nobody can change', async () => {
    const { keys, token } = await fresh()
    const verified = await keys.verify(token, at)
    expect(() => Object.assign(verified.claims, { sub: 'admin' })).toThrow(TypeError)
    const scoped = await keys.verify(await keys.sign({ sub: 'u', scopes: ['a'], deep: [{ of: {} }] }, at), at)
    expect(() => (scoped.claims.scopes as string[]).push('admin')).toThrow(TypeError)
    expect(() => Object.assign((scoped.claims.deep as { of: object }[])[0]!.of, { x: 1 })).toThrow(TypeError)
    expect(await outcome(keys, token)).toBe('user')
  })
})

describe('the cache of verified tokens', () => {
  test('answers a repeated token from memory, with the same object', async () => {
    const { keys, token } = await fresh()
    const first = await keys.verify(token, at)
    for (let i = 0; i < 99; i++) expect(keys.verify(token, at)).toBe(first)
    expect(keys.cache.hits).toBe(99)
  })

  test('takes nothing in that was refused', async () => {
    const { keys, token } = await fresh()
    for (let i = 0; i < 50; i++) await outcome(keys, tampered(token))
    await outcome(keys, token, { type: 'mfa+jwt' })
    expect(keys.cache.size).toBe(0)
  })

  test('stays within its bounds and forgets what is not asked for', async () => {
    const { keys } = await fresh('HS256', { cacheEntries: 10 })
    const tokens = await Promise.all(
      Array.from({ length: 11 }, async (_, i) => keys.sign({ sub: `u${i}`, sid: 's' }, at)),
    )
    for (const token of tokens.slice(0, 10)) await keys.verify(token, at)
    const first = await keys.verify(tokens[0]!, at)
    await keys.verify(tokens[10]!, at)
    expect(keys.cache.size).toBe(10)
    expect(keys.verify(tokens[0]!, at)).toBe(first)
    keys.cache.misses = 0
    await keys.verify(tokens[1]!, at)
    expect(keys.cache.misses).toBe(1)
    keys.forget('s')
    expect(keys.cache.size).toBe(0)
  })

  test('is bounded in bytes as well', async () => {
    const { keys } = await fresh('HS256', { cacheBytes: 50_000 })
    for (let i = 0; i < 50; i++) await keys.verify(await keys.sign({ sub: `u${i}`, pad: 'x'.repeat(3000) }, at), at)
    expect(keys.cache.bytes).toBeLessThanOrEqual(50_000)
    expect(keys.cache.size).toBeGreaterThan(3)
    keys.forget(() => true)
    expect(keys.cache.bytes).toBe(0)
  })

  test('forgets the tokens of one session, or those that match', async () => {
    const { keys } = await fresh()
    const [a1, a2, b] = await Promise.all(['a', 'a', 'b'].map(async (sid) => keys.sign({ sub: sid, sid }, at)))
    const seen = await Promise.all([a1!, a2!, b!].map(async (token) => keys.verify(token, at)))
    keys.forget('a')
    expect(keys.cache.size).toBe(1)
    expect(keys.verify(b!, at)).toBe(seen[2])
    expect(keys.verify(a1!, at)).not.toBe(seen[0])
    keys.forget(({ claims }) => claims.sub === 'b')
    expect(keys.verify(b!, at)).not.toBe(seen[2])
  })

  test('can be switched off', async () => {
    const { keys, token } = await fresh('EdDSA', { cacheEntries: 0 })
    await keys.verify(token, at)
    await keys.verify(token, at)
    expect(keys.cache.hits).toBe(0)
  })
})
