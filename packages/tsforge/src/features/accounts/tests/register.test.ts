import { afterAll, beforeAll, expect, test } from 'vitest'
import { userRegistered } from '../events.ts'
import { codeOf, count, createWorld, heard, home, password } from './setup.ts'
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

const register = (replica: Replica, email: string, name = 'Ada'): ReturnType<Replica['accounts']['register']> =>
  replica.accounts.register({ email, password, name }, home)

test('registers a user with a personal tenant, a session and a pair of tokens', async () => {
  const { user, tokens, sessionId } = await register(one, '  Ada.Lovelace@Example.ORG ', ' Ada ')
  expect(user).toMatchObject({
    email: 'Ada.Lovelace@Example.ORG',
    name: 'Ada',
    role: 'user',
    status: 'active',
    version: 1,
  })
  const actor = await one.accounts.authenticate(tokens.accessToken)
  const tenants = await world.db.query<{ tenant_id: string }>(
    'select tenant_id from forge_tenants_memberships where user_id = $1',
    [user.id],
  )
  const expiresAt = tokens.expiresAt.getTime()
  expect(actor).toEqual({ kind: 'user', id: user.id, sessionId, tenantId: tenants.rows[0]!.tenant_id, expiresAt })
  expect(tokens.refreshToken).toMatch(/^rt_[A-Za-z0-9_-]{43}$/)
  expect(tokens.expiresAt.getTime()).toBe(world.clock.now() + 15 * 60_000)
})

test('of 100 registrations of one address at once, over two processes, one succeeds', async () => {
  const variants = ['race@example.org', 'RACE@example.org', ' race@Example.org', 'Race@EXAMPLE.ORG']
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, (_, n) => register(n % 2 === 0 ? one : two, variants[n % variants.length]!)),
  )
  expect(count(results)).toEqual({ fulfilled: 1, codes: { 'user.email_taken': 99 } })
  const { rows } = await world.db.query('select id from forge_accounts_users where email_normalized = $1', [
    'race@example.org',
  ])
  expect(rows).toHaveLength(1)
  // Nothing of the others has stayed.
  const orphans = await world.db.query(
    'select 1 from forge_tenants_memberships m where not exists (select 1 from forge_accounts_users u where u.id = m.user_id)',
  )
  expect(orphans.rows).toHaveLength(0)
})

test('leaves nothing when the caller rolls back, and tells nobody', async () => {
  const events = await heard(userRegistered, () =>
    world.db
      .tx(async (tx) => {
        await one.accounts.register({ email: 'undone@example.org', password, name: 'Ada' }, home, tx)
        throw new Error('undo')
      })
      .catch(() => undefined),
  )
  expect(events).toEqual([])
  const { rows } = await world.db.query(
    `select 1 from forge_accounts_users where email_normalized = 'undone@example.org'`,
  )
  expect(rows).toHaveLength(0)
})

test('hashes on the taken path too', async () => {
  await register(one, 'taken@example.org')
  const before = one.hasher.hashes
  expect(await codeOf(register(one, 'taken@example.org'))).toBe('user.email_taken')
  expect(one.hasher.hashes - before).toBe(1)
})

test('tells of a registration once it is committed', async () => {
  let id = ''
  const events = await heard(userRegistered, async () => (id = (await register(one, 'told@example.org')).user.id))
  expect(events).toMatchObject([{ userId: id }])
})

test('frees the address of a deleted user', async () => {
  const { user } = await register(one, 'again@example.org')
  await world.db.query('update forge_accounts_users set deleted_at = now() where id = $1', [user.id])
  await expect(register(one, 'again@example.org')).resolves.toMatchObject({ user: { email: 'again@example.org' } })
})

test.each([
  ['user.email_invalid', { email: 'nobody' }],
  ['user.email_invalid', { email: `${'a'.repeat(250)}@example.org` }],
  ['user.email_invalid', { email: 'a b@example.org' }],
  ['user.email_invalid', { email: 'a\u0000@example.org' }],
  ['user.email_invalid', { email: '\ud800@example.org' }],
  ['user.name_invalid', { name: '   ' }],
  ['user.name_invalid', { name: 'a\u0000b' }],
  ['user.name_invalid', { name: 'x'.repeat(121) }],
  ['user.password_too_short', { password: 'seven77' }],
  ['user.password_too_short', { password: '😀😀😀😀' }],
  ['user.password_too_long', { password: 'é'.repeat(513) }],
  ['user.password_too_common', { password: 'PassWord123' }],
  ['user.password_too_common', { password: '........' }],
  ['user.password_personal', { password: 'Faulty@Example.org' }],
  ['user.password_personal', { password: 'Augusta Ada', name: 'augusta ada' }],
])('refuses with %s: %j, without hashing', async (code, fault) => {
  const before = one.hasher.hashes
  expect(
    await codeOf(one.accounts.register({ email: 'faulty@example.org', password, name: 'Ada', ...fault }, home)),
  ).toBe(code)
  expect(one.hasher.hashes).toBe(before)
})

test('takes any text of 8 characters to 1024 bytes as a password, unchanged', async () => {
  for (const [n, odd] of [
    ' leading and trailing ',
    'ünïcödé 密码 😀',
    'x\u0000y\u0000z\u0000\u0001\u0002',
    `${'long '.repeat(204)}end!`,
  ].entries()) {
    const email = `odd${n}@example.org`
    await one.accounts.register({ email, password: odd, name: 'Ada' }, home)
    await expect(one.accounts.login({ email, password: odd }, home)).resolves.toBeDefined()
    expect(await codeOf(one.accounts.login({ email, password: odd.slice(0, -1) }, home))).toBe(
      'user.invalid_credentials',
    )
  }
})

test('keeps a user agent whole characters long and free of NUL', async () => {
  const userAgent = `a\u0000${'😀'.repeat(600)}\ud83d`
  const { user } = await one.accounts.register(
    { email: 'agent@example.org', password, name: 'Ada' },
    { ip: '::ffff:192.0.2.7', userAgent },
  )
  const [session] = await one.accounts.sessions(user.id)
  expect(session!.userAgent!.isWellFormed()).toBe(true)
  expect([...session!.userAgent!].length).toBeLessThanOrEqual(512)
  expect(session!.userAgent).toMatch(/^a😀/u)
  expect(session!.ip).toBe('192.0.2.7')
})
