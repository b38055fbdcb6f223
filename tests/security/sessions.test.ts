import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accountsPort } from 'tsforge/accounts'
import { keysPort } from 'tsforge/keys'
import type { Reply, TestApp, TestUser } from 'tsforge/testing'
import { target } from './target.ts'

interface Pair {
  readonly access_token: string
  readonly refresh_token: string
}

/** Two replicas on one database; on PGlite, which one process owns, the same one twice. */
let first: TestApp
let second: TestApp
beforeAll(async () => {
  const env = { FORGE_SECRET: 'rQ7-two-replicas-Zt2vB8nM4rK6jH1' }
  first = await target(env)
  second = first.databaseUrl === undefined ? first : await target(env, { databaseUrl: first.databaseUrl })
})
afterAll(async () => {
  if (second !== first) await second[Symbol.asyncDispose]()
  await first[Symbol.asyncDispose]()
})

const trade = (app: TestApp, token: string): Promise<Reply<Pair>> =>
  app.client.post<Pair>('/api/v1/auth/refresh', { refresh_token: token })
const me = async (app: TestApp, token: string): Promise<number> => (await app.as(token).get('/api/v1/auth/me')).status
const families = async (user: TestUser): Promise<number> =>
  (await first.db.query('select 1 from forge_accounts_sessions where user_id = $1 and revoked_at is null', [user.id]))
    .rows.length

/** Time goes on for both. Bounded by the promise of five seconds. */
async function later(ms: number): Promise<void> {
  await first.clock.advance(ms)
  if (second !== first) await second.clock.advance(ms)
}

describe('a token of one kind', () => {
  it('is nothing of another kind', async () => {
    const ada = await first.register()
    const keys = first.get(keysPort)
    const { access_token: access, refresh_token: refresh } = ada.tokens
    expect(await me(second, access)).toBe(200)
    expect(await me(first, refresh)).toBe(401)
    expect((await trade(first, access)).status).toBe(401)
    const claims = JSON.parse(Buffer.from(access.split('.')[1]!, 'base64url').toString()) as {
      sub: string
      sid: string
    }
    const { sub, sid } = claims
    const sign = (
      type: `${Lowercase<string>}+jwt`,
      audience?: string,
      more: object = { sid },
    ): string | Promise<string> =>
      keys.sign({ sub, ...more }, { type, ttlMs: 60_000, ...(audience !== undefined && { audience }) })
    expect(await me(first, await sign('at+jwt'))).toBe(200)
    for (const type of ['mfa+jwt', 'reset+jwt', 'invite+jwt', 'id+jwt', 'dpop+jwt'] as const)
      expect([type, await me(first, await sign(type))]).toEqual([type, 401])
    expect(await me(first, await sign('at+jwt', 'another-service'))).toBe(401)
    expect(await me(first, await sign('at+jwt', undefined, {}))).toBe(401)
  })
})

describe('an access token', () => {
  const ends: Readonly<Record<string, (user: TestUser, other: TestUser) => Promise<unknown>>> = {
    logout: (user) => user.post('/api/v1/auth/logout'),
    'its session being revoked': async (user, other) => {
      const { body } = await user.get<{ id: string; current: boolean }[]>('/api/v1/me/sessions')
      return other.delete(`/api/v1/me/sessions/${body.data.find(({ current }) => current)!.id}`)
    },
    'all other sessions being revoked': (_, other) => other.delete('/api/v1/me/sessions'),
    'a change of the password elsewhere': (_, other) =>
      other.post('/api/v1/auth/password', { current_password: other.password, new_password: 'another pass phrase 9' }),
    'its user being disabled': (user) => first.get(accountsPort).disable(user.id),
    'its user being disabled by hand': (user) =>
      first.db.query(`update forge_accounts_users set status = 'disabled' where id = $1`, [user.id]),
    'its session being deleted by hand': (user) =>
      first.db.query('delete from forge_accounts_sessions where user_id = $1', [user.id]),
  }
  for (const [what, end] of Object.entries(ends)) {
    it(`is refused on every replica within 5 s of ${what}, and cannot be refreshed`, async () => {
      const user = await first.register()
      const other = await first.login(user)
      expect([await me(first, user.tokens.access_token), await me(second, user.tokens.access_token)]).toEqual([
        200, 200,
      ])
      await end(user, other)
      await later(4_900)
      expect([await me(first, user.tokens.access_token), await me(second, user.tokens.access_token)]).toEqual([
        401, 401,
      ])
      expect((await trade(second, user.tokens.refresh_token)).status).toBe(401)
    })
  }
})

describe('a refresh token', () => {
  it('sent fifty times at once to two replicas brings one pair, and its replay ends that family alone', async () => {
    const ada = await first.register()
    const phone = await second.login(ada)
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => trade(n % 2 === 0 ? first : second, ada.tokens.refresh_token)),
    )
    const pairs = new Set(answers.filter(({ status }) => status === 200).map(({ body }) => body.data.refresh_token))
    expect(pairs.size).toBe(1)
    expect(await families(ada)).toBe(2)
    const [next = ''] = pairs
    expect((await trade(second, next)).status).toBe(200)
    expect(await trade(first, ada.tokens.refresh_token)).toMatchObject({
      status: 401,
      body: { error: { code: 'auth.token_reused' } },
    })
    expect(await families(ada)).toBe(1)
    expect((await trade(first, phone.tokens.refresh_token)).status).toBe(200)
  })

  it('replayed while the family rotates leaves no branch of it alive', async () => {
    for (let round = 0; round < 5; round++) {
      const ada = await first.register()
      const phone = await first.login(ada)
      const stolen = ada.tokens.refresh_token
      const second1 = (await trade(first, stolen)).body.data.refresh_token
      const current = (await trade(second, second1)).body.data.refresh_token
      // The thief's replay and the owner's rotation at the same moment, on two replicas.
      const [replay, rotation] = await Promise.all([trade(first, stolen), trade(second, current)])
      expect(replay.status).toBe(401)
      const minted = rotation.status === 200 ? [rotation.body.data.refresh_token] : []
      for (const token of [current, second1, stolen, ...minted]) expect((await trade(first, token)).status).toBe(401)
      expect(await families(ada)).toBe(1)
      expect((await trade(second, phone.tokens.refresh_token)).status).toBe(200)
    }
  })

  it('that has expired is refused, and ends nothing', async () => {
    const ada = await first.register()
    const old = ada.tokens.refresh_token
    const days = (count: number): void => {
      for (const app of new Set([first, second])) app.clock.jump(app.clock.now() + count * 86_400_000)
    }
    days(6)
    const phone = await first.login(ada)
    days(2)
    expect(await trade(first, old)).toMatchObject({ status: 401, body: { error: { code: 'auth.refresh_expired' } } })
    expect((await trade(second, phone.tokens.refresh_token)).status).toBe(200)
  })

  it('of one user cannot be named, changed or guessed by another', async () => {
    const ada = await first.register()
    const eve = await first.register()
    for (const token of [
      `${ada.tokens.refresh_token.slice(0, -1)}${ada.tokens.refresh_token.endsWith('A') ? 'B' : 'A'}`,
      ` ${ada.tokens.refresh_token}`,
      ada.tokens.refresh_token.toUpperCase(),
      `rt_${'A'.repeat(43)}`,
      `rt_' or 1=1 --${'A'.repeat(31)}`,
      'rt_',
    ])
      expect([token, (await trade(first, token)).status]).toEqual([token, 401])
    const { body } = await ada.get<{ id: string }[]>('/api/v1/me/sessions')
    expect((await eve.delete(`/api/v1/me/sessions/${body.data[0]!.id}`)).status).toBe(404)
    expect(await me(first, ada.tokens.access_token)).toBe(200)
  })
})
