import { afterAll, beforeAll, expect, test } from 'vitest'
import { refreshReused, sessionRevoked } from '../events.ts'
import { hashRefreshToken } from '../tokens.ts'
import { codeOf, count, createWorld, day, heard, home, minute, password, someone } from './setup.ts'
import type { Replica, World } from './setup.ts'

let world: World
let one: Replica
let two: Replica
beforeAll(async () => {
  world = await createWorld()
  one = await world.replica()
  two = await world.replica()
})
afterAll(() => world.close())

const away = { ip: '198.51.100.1', userAgent: 'away' }
const refresh = (token: string, replica: Replica = one): ReturnType<Replica['accounts']['refresh']> =>
  replica.accounts.refresh(token, home)
const afterGrace = (): void => world.later(10_001)
const liveTokens = async (sessionId: string): Promise<number> => {
  const { rows } = await world.db.query<{ n: number }>(
    `select count(*) as n from forge_accounts_refresh_tokens t join forge_accounts_sessions s on s.id = t.session_id
     where s.id = $1 and s.revoked_at is null and t.used_at is null`,
    [sessionId],
  )
  return rows[0]!.n
}

test('trades a token for the next pair of the same session', async () => {
  const { user, sessionId, tokens } = await someone(one.accounts)
  world.later(1_000)
  const next = await one.accounts.refresh(tokens.refreshToken, away)
  expect(next.refreshToken).not.toBe(tokens.refreshToken)
  expect(await two.accounts.authenticate(next.accessToken)).toMatchObject({ id: user.id, sessionId })
  expect(await one.accounts.sessions(user.id)).toMatchObject([
    { id: sessionId, ip: away.ip, userAgent: 'away', lastUsedAt: new Date(world.clock.now()) },
  ])
})

test('50 refreshes of one token at once, over two processes, leave one live successor, and all get it', async () => {
  const { sessionId, tokens } = await someone(one.accounts)
  const pairs = await Promise.all(
    Array.from({ length: 50 }, (_, n) => refresh(tokens.refreshToken, n % 2 === 0 ? one : two)),
  )
  expect(new Set(pairs.map((pair) => JSON.stringify(pair))).size).toBe(1)
  expect(await liveTokens(sessionId)).toBe(1)
  await expect(refresh(pairs[0]!.refreshToken)).resolves.toBeDefined()
})

test('50 refreshes at once without a grace window: one wins, and the reuse ends the session', async () => {
  const strict = [await world.replica({ refreshGraceMs: -1 }), await world.replica({ refreshGraceMs: -1 })]
  const { sessionId, tokens } = await someone(one.accounts)
  const results = await Promise.allSettled(
    Array.from({ length: 50 }, (_, n) => refresh(tokens.refreshToken, strict[n % 2])),
  )
  const { fulfilled, codes } = count(results)
  expect(fulfilled).toBe(1)
  expect(codes['auth.token_reused']).toBe(1)
  expect(codes['auth.session_revoked']).toBe(48)
  expect(await liveTokens(sessionId)).toBe(0)
})

test('a lost answer brings the same pair again inside the grace window', async () => {
  const { tokens } = await someone(one.accounts)
  const first = await refresh(tokens.refreshToken)
  world.later(10_000)
  expect(await refresh(tokens.refreshToken, two)).toEqual(first)
})

test('reuse after the grace window ends the session and the token minted meanwhile, and no other device', async () => {
  const { user, sessionId, tokens } = await someone(one.accounts)
  const other = await one.accounts.login({ email: user.email, password }, away)
  const next = await refresh(tokens.refreshToken)
  afterGrace()
  const told = await heard(refreshReused, async () =>
    expect(await codeOf(refresh(tokens.refreshToken))).toBe('auth.token_reused'),
  )
  expect(told).toEqual([{ userId: user.id, sessionId, ip: home.ip }])
  expect(await codeOf(refresh(next.refreshToken, two))).toBe('auth.session_revoked')
  expect(await codeOf(() => one.accounts.authenticate(next.accessToken))).toBe('auth.session_revoked')
  await expect(refresh(other.tokens.refreshToken)).resolves.toBeDefined()
  expect((await one.accounts.sessions(user.id)).map((session) => session.id)).toEqual([other.sessionId])
})

test('reuse inside the grace window counts as reuse once the successor has been used', async () => {
  const { tokens } = await someone(one.accounts)
  const next = await refresh(tokens.refreshToken)
  const third = await refresh(next.refreshToken)
  expect(await codeOf(refresh(tokens.refreshToken))).toBe('auth.token_reused')
  expect(await codeOf(refresh(third.refreshToken))).toBe('auth.session_revoked')
})

test('a reuse and a rotation in flight never leave a live token behind, whoever comes first', async () => {
  for (let round = 0; round < 20; round++) {
    const { sessionId, tokens } = await someone(one.accounts)
    const next = await refresh(tokens.refreshToken)
    afterGrace()
    const pair = [refresh(tokens.refreshToken, round % 2 === 0 ? one : two), refresh(next.refreshToken, two)]
    const results = await Promise.allSettled(round % 3 === 0 ? pair.reverse() : pair)
    expect(await liveTokens(sessionId)).toBe(0)
    expect(count(results).codes['auth.token_reused']).toBe(1)
    for (const minted of results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))) {
      expect(await codeOf(refresh(minted.refreshToken))).toBe('auth.session_revoked')
    }
  }
})

test('an expired token is refused and ends nothing, used or not', async () => {
  const { user, tokens } = await someone(one.accounts)
  const unused = await one.accounts.login({ email: user.email, password }, away)
  let { refreshToken } = await refresh(tokens.refreshToken)
  for (let week = 0; week < 2; week++) {
    world.later(6 * day)
    refreshToken = (await refresh(refreshToken)).refreshToken
  }
  await one.accounts.sweep()
  const told = await heard(sessionRevoked, async () => {
    expect(await codeOf(refresh(tokens.refreshToken))).toBe('auth.refresh_invalid')
    expect(await codeOf(refresh(unused.tokens.refreshToken))).toBe('auth.refresh_invalid')
  })
  expect(told).toEqual([])
  await expect(refresh(refreshToken)).resolves.toBeDefined()
})

test('says that a token has expired, up to a day later', async () => {
  const { tokens } = await someone(one.accounts)
  const next = await refresh(tokens.refreshToken)
  world.later(7 * day)
  expect(await codeOf(refresh(tokens.refreshToken))).toBe('auth.refresh_expired')
  expect(await codeOf(refresh(next.refreshToken))).toBe('auth.refresh_expired')
})

test('a session ends at its absolute limit however busy it is, and so does its last access token', async () => {
  const { user, tokens } = await someone(one.accounts)
  let { refreshToken } = tokens
  for (let days = 0; days < 25; days += 5) {
    world.later(5 * day)
    refreshToken = (await refresh(refreshToken)).refreshToken
  }
  world.later(5 * day - 5 * minute)
  const last = await refresh(refreshToken)
  expect(last.refreshExpiresAt).toEqual(new Date(tokens.refreshExpiresAt.getTime() + 23 * day))
  // Whole seconds, never beyond the session.
  expect(last.refreshExpiresAt.getTime() - last.expiresAt.getTime()).toBeGreaterThanOrEqual(0)
  expect(last.refreshExpiresAt.getTime() - last.expiresAt.getTime()).toBeLessThan(2_000)
  world.later(5 * minute)
  expect(await codeOf(refresh(last.refreshToken))).toBe('auth.refresh_expired')
  expect(await codeOf(async () => one.accounts.authenticate(last.accessToken))).toBe('auth.token_expired')
  expect(await one.accounts.sessions(user.id)).toEqual([])
})

test('the refresh of a revoked device fails for itself alone', async () => {
  const { user, sessionId, tokens } = await someone(one.accounts)
  const kicked = await two.accounts.login({ email: user.email, password }, away)
  expect(await one.accounts.revokeAll(user.id, sessionId)).toBe(1)
  for (let n = 0; n < 3; n++)
    expect(await codeOf(refresh(kicked.tokens.refreshToken, two))).toBe('auth.session_revoked')
  await expect(refresh(tokens.refreshToken)).resolves.toBeDefined()
})

test('tokens of a disabled user are dead', async () => {
  const { user, tokens } = await someone(one.accounts)
  await one.accounts.disable(user.id)
  expect(await codeOf(refresh(tokens.refreshToken, two))).toBe('auth.session_revoked')
})

test('the session and its token expire at one and the same moment', async () => {
  const { sessionId, tokens } = await someone(one.accounts)
  world.later(1_234)
  const next = await refresh(tokens.refreshToken)
  const { rows } = await world.db.query<{ session: Date; token: Date }>(
    `select s.expires_at as session, t.expires_at as token from forge_accounts_sessions s
     join forge_accounts_refresh_tokens t on t.session_id = s.id where t.hash = $1 and s.id = $2`,
    [hashRefreshToken(next.refreshToken), sessionId],
  )
  expect(rows[0]!.session).toEqual(rows[0]!.token)
  expect(rows[0]!.token).toEqual(next.refreshExpiresAt)
})

test('the database alone reveals no token, and forgets the sealed pair when its window has passed', async () => {
  const { tokens } = await someone(one.accounts)
  const next = await refresh(tokens.refreshToken)
  const dump = async (): Promise<string> =>
    JSON.stringify((await world.db.query('select * from forge_accounts_refresh_tokens')).rows)
  const text = await dump()
  for (const secret of [tokens.refreshToken, next.refreshToken, next.accessToken]) expect(text).not.toContain(secret)
  const sealed = async (): Promise<unknown> =>
    (
      await world.db.query<{ successor: unknown }>(
        'select successor from forge_accounts_refresh_tokens where hash = $1',
        [hashRefreshToken(tokens.refreshToken)],
      )
    ).rows[0]!.successor
  expect(await sealed()).not.toBeNull()
  afterGrace()
  await one.accounts.sweep()
  expect(await sealed()).toBeNull()
})

test('forgets the sealed pair as soon as the successor is used', async () => {
  const { sessionId, tokens } = await someone(one.accounts)
  await refresh((await refresh(tokens.refreshToken)).refreshToken)
  const { rows } = await world.db.query(
    'select 1 from forge_accounts_refresh_tokens where session_id = $1 and successor is not null',
    [sessionId],
  )
  // Of three tokens the second has been used last: its own successor alone is kept.
  expect(rows).toHaveLength(1)
})

test.each([
  '',
  'rt_',
  'rt_short',
  'x'.repeat(46),
  `rt_${'A'.repeat(42)}\u0000`,
  `rt_${'A'.repeat(43)}`,
  `rt_${'A'.repeat(44)}`,
])('refuses %j as a refresh token', async (token) => {
  expect(await codeOf(refresh(token))).toBe('auth.refresh_invalid')
})

test('takes no access token as a refresh token, and no refresh token as an access token', async () => {
  const { tokens } = await someone(one.accounts)
  expect(await codeOf(refresh(tokens.accessToken))).toBe('auth.refresh_invalid')
  expect(await codeOf(async () => one.accounts.authenticate(tokens.refreshToken))).toBe('auth.token_invalid')
})
