import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Db, QueryResult } from '../../../primitives/db/index.ts'
import { silentLog } from '../../../kernel/log.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import { Revocations } from '../revocations.ts'
import { sessionRevoked, userPasswordChanged } from '../events.ts'
import { codeOf, createWorld, heard, home, minute, password, someone, until } from './setup.ts'
import type { Replica, World } from './setup.ts'

/** A database whose notifications never arrive, and which can be cut off. */
interface Cut {
  off: boolean
  wrap(db: Db): Db
}
function cut(): Cut {
  const self: Cut = {
    off: false,
    wrap: (db) =>
      Object.assign(Object.create(db) as Db, {
        capabilities: { ...db.capabilities, listen: false },
        query: <R>(text: string, values?: unknown[]): Promise<QueryResult<R>> =>
          self.off ? Promise.reject(new Error('cut off')) : db.query<R>(text, values),
        tx: db.tx.bind(db),
        close: db.close.bind(db),
      }),
  }
  return self
}

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
const ask = (replica: Replica, token: string): Promise<string> =>
  codeOf(async () => replica.accounts.authenticate(token))

test('answers from memory without a promise', async () => {
  const { tokens } = await someone(one.accounts)
  await one.accounts.authenticate(tokens.accessToken)
  expect(one.accounts.authenticate(tokens.accessToken)).not.toBeInstanceOf(Promise)
})

test('a revoked session is refused here at once and there when the notification comes', async () => {
  const { user, sessionId, tokens } = await someone(one.accounts)
  expect(await ask(two, tokens.accessToken)).toBe('none')
  await one.accounts.revoke(user.id, sessionId)
  expect(await ask(one, tokens.accessToken)).toBe('auth.session_revoked')
  await until(() => two.accounts.revocations.has(sessionId))
  expect(await ask(two, tokens.accessToken)).toBe('auth.session_revoked')
})

test('without notifications a revoked session is refused on every replica within 5 s', async () => {
  const deaf = await world.replica({}, cut().wrap)
  const { user, sessionId, tokens } = await someone(one.accounts)
  expect(await ask(deaf, tokens.accessToken)).toBe('none')
  await one.accounts.revoke(user.id, sessionId)
  expect(await ask(deaf, tokens.accessToken)).toBe('none')
  await world.clock.advance(2_000)
  await until(() => deaf.accounts.revocations.has(sessionId))
  expect(await ask(deaf, tokens.accessToken)).toBe('auth.session_revoked')
})

test('a transaction that revokes and commits late is not missed, though others committed after it began', async () => {
  // With one connection nothing commits in between.
  if (!world.db.capabilities.concurrent) return
  const deaf = await world.replica({}, cut().wrap)
  const [slow, fast] = [await someone(one.accounts), await someone(one.accounts)]
  let commit: () => void = () => {}
  const held = new Promise<void>((resolve) => (commit = resolve))
  let revoked: () => void = () => {}
  const inFlight = new Promise<void>((resolve) => (revoked = resolve))
  const transaction = world.db.tx(async (tx) => {
    await one.accounts.revoke(slow.user.id, slow.sessionId, tx)
    revoked()
    await held
  })
  await inFlight
  await one.accounts.revoke(fast.user.id, fast.sessionId)
  await deaf.accounts.revocations.sync()
  expect(deaf.accounts.revocations.has(fast.sessionId)).toBe(true)
  expect(deaf.accounts.revocations.has(slow.sessionId)).toBe(false)
  commit()
  await transaction
  await deaf.accounts.revocations.sync()
  expect(deaf.accounts.revocations.has(slow.sessionId)).toBe(true)
})

test('a rolled-back revocation refuses nobody', async () => {
  const { user, sessionId, tokens } = await someone(one.accounts)
  await world.db
    .tx(async (tx) => {
      await one.accounts.revoke(user.id, sessionId, tx)
      throw new Error('undo')
    })
    .catch(() => undefined)
  await one.accounts.revocations.sync()
  expect(await ask(one, tokens.accessToken)).toBe('none')
})

test('a replica that cannot hear or read asks the database for each session, and fails closed without it', async () => {
  const line = cut()
  const blind = await world.replica({}, line.wrap)
  const alive = await someone(one.accounts)
  const ended = await someone(one.accounts)
  await blind.accounts.authenticate(alive.tokens.accessToken)
  await blind.accounts.authenticate(ended.tokens.accessToken)
  await one.accounts.revoke(ended.user.id, ended.sessionId)
  line.off = true
  await world.clock.advance(4_001)
  expect(await ask(blind, alive.tokens.accessToken)).toBe('accounts.unavailable')
  expect(blind.accounts.revocations.stale).toBe(true)
  line.off = false
  expect(await ask(blind, ended.tokens.accessToken)).toBe('auth.session_revoked')
  expect(await ask(blind, alive.tokens.accessToken)).toBe('none')
  await world.clock.advance(2_000)
  await until(() => !blind.accounts.revocations.stale)
  expect(blind.accounts.authenticate(alive.tokens.accessToken)).not.toBeInstanceOf(Promise)
})

test('a replica that starts later knows what was revoked before', async () => {
  const { user, sessionId, tokens } = await someone(one.accounts)
  await one.accounts.revoke(user.id, sessionId)
  const late = await world.replica()
  expect(await ask(late, tokens.accessToken)).toBe('auth.session_revoked')
})

test('revocations by hand in the database count: of a session, of a user, by deletion', async () => {
  const [a, b, c] = [await someone(one.accounts), await someone(one.accounts), await someone(one.accounts)]
  await world.db.query('update forge_accounts_sessions set revoked_at = now() where id = $1', [a.sessionId])
  await world.db.query(`update forge_accounts_users set status = 'disabled' where id = $1`, [b.user.id])
  await world.db.query('delete from forge_accounts_users where id = $1', [c.user.id])
  for (const { sessionId, tokens } of [a, b, c]) {
    await until(() => one.accounts.revocations.has(sessionId))
    expect(await ask(one, tokens.accessToken)).toBe('auth.session_revoked')
  }
})

test('access tokens are dead after logout, disabling and a password change elsewhere', async () => {
  const out = await someone(one.accounts)
  await one.accounts.logout(out.user.id, out.sessionId)
  await one.accounts.logout(out.user.id, out.sessionId)
  expect(await ask(one, out.tokens.accessToken)).toBe('auth.session_revoked')

  const off = await someone(one.accounts)
  const told = await heard(sessionRevoked, () => one.accounts.disable(off.user.id))
  expect(told).toEqual([{ userId: off.user.id, sessionId: off.sessionId, reason: 'user_disabled' }])
  expect(await ask(one, off.tokens.accessToken)).toBe('auth.session_revoked')
  expect(await codeOf(one.accounts.login({ email: off.user.email, password }, home))).toBe('user.invalid_credentials')
  await one.accounts.enable(off.user.id)
  await expect(one.accounts.login({ email: off.user.email, password }, home)).resolves.toBeDefined()
  expect(await ask(one, off.tokens.accessToken)).toBe('auth.session_revoked')

  const own = await someone(one.accounts)
  const thief = await two.accounts.login({ email: own.user.email, password }, away)
  const change = { currentPassword: password, newPassword: 'another river at dusk' }
  const changed = await heard(userPasswordChanged, () =>
    one.accounts.changePassword(own.user.id, own.sessionId, change, home),
  )
  expect(changed).toEqual([{ userId: own.user.id }])
  expect(await ask(one, own.tokens.accessToken)).toBe('none')
  expect(await ask(one, thief.tokens.accessToken)).toBe('auth.session_revoked')
  expect(await codeOf(two.accounts.refresh(thief.tokens.refreshToken, away))).toBe('auth.session_revoked')
  await expect(one.accounts.refresh(own.tokens.refreshToken, home)).resolves.toBeDefined()
  expect(await codeOf(one.accounts.login({ email: own.user.email, password }, home))).toBe('user.invalid_credentials')
})

test('a login with the old password that overlaps the change leaves no live session', async () => {
  for (let round = 0; round < 10; round++) {
    const { user, sessionId } = await someone(one.accounts)
    const change = { currentPassword: password, newPassword: 'another river at dusk' }
    await Promise.allSettled([
      two.accounts.login({ email: user.email, password }, home),
      two.accounts.login({ email: user.email, password }, away),
      one.accounts.changePassword(user.id, sessionId, change, home),
    ])
    expect((await one.accounts.sessions(user.id)).map((session) => session.id)).toEqual([sessionId])
  }
})

test('lists live sessions, ends one, and calls foreign, ended and unknown ones alike', async () => {
  const { user, sessionId } = await someone(one.accounts)
  await world.clock.advance(1_000)
  const second = await one.accounts.login({ email: user.email, password }, away)
  const stranger = await someone(one.accounts)
  expect((await one.accounts.sessions(user.id)).map((session) => session.id)).toEqual([second.sessionId, sessionId])
  await one.accounts.revoke(user.id, second.sessionId)
  for (const id of [second.sessionId, stranger.sessionId, '01890000-0000-7000-8000-000000000000', 'no uuid']) {
    expect(await codeOf(one.accounts.revoke(user.id, id))).toBe('session.not_found')
  }
  expect(await one.accounts.sessions(stranger.user.id)).toHaveLength(1)
})

test('a login beyond the limit ends the session that was used longest ago', async () => {
  const few = await world.replica({ maxSessions: 2 })
  const { user, tokens } = await someone(few.accounts)
  await world.clock.advance(1_000)
  const second = await few.accounts.login({ email: user.email, password }, home)
  await world.clock.advance(1_000)
  const third = await few.accounts.login({ email: user.email, password }, home)
  expect((await few.accounts.sessions(user.id)).map((session) => session.id)).toEqual([
    third.sessionId,
    second.sessionId,
  ])
  expect(await ask(few, tokens.accessToken)).toBe('auth.session_revoked')
})

test('forgets revocations once no access token can be alive', async () => {
  const { user, sessionId } = await someone(one.accounts)
  await one.accounts.revoke(user.id, sessionId)
  await world.clock.advance(21 * minute)
  await world.db.query(`update forge_accounts_revocations set revoked_at = now() - interval '26 minutes'`)
  await one.accounts.sweep()
  // A sweep of another replica may have them in hand still.
  await until(async () => (await world.db.query('select 1 from forge_accounts_revocations')).rows.length === 0)
  await one.accounts.revocations.sync()
  expect(one.accounts.revocations.has(sessionId)).toBe(false)
})

test('drops the tokens of a revoked session from the key cache', async () => {
  const { user, sessionId, tokens } = await someone(one.accounts)
  await one.accounts.authenticate(tokens.accessToken)
  const before = one.keys.cache.size
  await one.accounts.revoke(user.id, sessionId)
  expect(one.keys.cache.size).toBe(before - 1)
})

test('takes no token that names no session, and none of another type', async () => {
  const { user, sessionId } = await someone(one.accounts)
  const sessionless = await one.keys.sign({ sub: user.id }, { type: 'at+jwt', ttlMs: minute })
  expect(await ask(one, sessionless)).toBe('auth.token_invalid')
  for (const type of ['mfa+jwt', 'reset+jwt', 'id+jwt', 'invite+jwt'] as const) {
    const purpose = await one.keys.sign({ sub: user.id, sid: sessionId }, { type, ttlMs: minute })
    expect(await ask(one, purpose)).toBe('auth.token_invalid')
  }
  const elsewhere = await one.keys.sign(
    { sub: user.id, sid: sessionId },
    { type: 'at+jwt', ttlMs: minute, audience: 'elsewhere' },
  )
  expect(await ask(one, elsewhere)).toBe('auth.token_invalid')
})

test('sweeps by itself, every minute', async () => {
  // Its minute begins here; those of the others begin when their last sweeps have ended.
  await world.replica()
  const { user } = await someone(one.accounts)
  await world.db.query(
    `update forge_accounts_sessions set expires_at = created_at - interval '2 days' where user_id = $1`,
    [user.id],
  )
  await world.clock.advance(minute)
  await until(
    async () =>
      (await world.db.query('select 1 from forge_accounts_sessions where user_id = $1', [user.id])).rows.length === 0,
  )
})

test('refuses to start with a token life that the keys would refuse at the first login', async () => {
  await expect(world.replica({ accessTtlMs: 61 * minute })).rejects.toThrow(RangeError)
})

test('a stop that overtakes the start leaves nothing that asks the database', async () => {
  const gate = Promise.withResolvers<void>()
  let ended = 0
  const clock = createFakeClock()
  const database = Object.assign(Object.create(world.db) as Db, {
    capabilities: { ...world.db.capabilities, listen: true },
    listen: () => gate.promise.then(() => async () => void ended++),
    query: () => Promise.resolve({ rows: [{ next: '0', sessionId: null }], rowCount: 1 }),
  })
  const revocations = new Revocations({ db: database, clock, log: silentLog, accessTtlMs: minute, onRevoked: () => {} })
  const starting = revocations.start()
  await revocations.stop()
  gate.resolve()
  await starting
  expect([ended, clock.pending]).toEqual([1, 0])
})

test('who asks while an older look still hangs waits for a look of its own', async () => {
  const clock = createFakeClock()
  const looks: ((sessionId: string | null) => void)[] = []
  const database = Object.assign(Object.create(world.db) as Db, {
    query: () =>
      new Promise((resolve) => looks.push((sessionId) => resolve({ rows: [{ next: '0', sessionId }], rowCount: 1 }))),
  })
  const revocations = new Revocations({ db: database, clock, log: silentLog, accessTtlMs: minute, onRevoked: () => {} })
  void revocations.sync()
  await clock.advance(4_001)
  void revocations.sync()
  let caughtUp = false
  const asked = revocations.sync().then(() => (caughtUp = true))
  for (const answer of looks.splice(0)) answer(null)
  await clock.advance(0)
  expect([looks.length, caughtUp]).toEqual([1, false])
  looks[0]!('ended')
  await asked
  expect(revocations.has('ended')).toBe(true)
})
