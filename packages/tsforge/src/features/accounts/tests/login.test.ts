import { afterAll, beforeAll, expect, test } from 'vitest'
import { createArgon2 } from '../argon2.ts'
import { userLoggedIn } from '../events.ts'
import { Passwords } from '../hasher.ts'
import { codeOf, count, countingHasher, createWorld, heard, home, password, someone } from './setup.ts'
import type { Replica, World } from './setup.ts'

let world: World
let one: Replica
beforeAll(async () => {
  world = await createWorld()
  one = await world.replica()
})
afterAll(() => world.close())

const away = { ip: '198.51.100.1', userAgent: 'away' }

test('signs in whatever way the address is written', async () => {
  await one.accounts.register({ email: 'Zoë.Ünal@Example.org', password, name: 'Zoë' }, home)
  for (const email of ['zoë.ünal@example.org', ' ZOË.ÜNAL@EXAMPLE.ORG ', 'Zoe\u0308.U\u0308nal@example.org']) {
    await expect(one.accounts.login({ email, password }, home)).resolves.toMatchObject({
      user: { email: 'Zoë.Ünal@Example.org' },
    })
  }
})

test('unknown address, wrong password and disabled user: the same work and the same answer', async () => {
  const { user } = await someone(one.accounts)
  const off = await someone(one.accounts)
  await one.accounts.disable(off.user.id)
  await one.accounts.login({ email: user.email, password }, home)
  const attempts = [
    { email: 'nobody@example.org', password },
    { email: user.email, password: 'a wrong river at dawn' },
    { email: off.user.email, password },
    { email: off.user.email, password: 'a wrong river at dawn' },
    { email: 'no address', password },
    { email: 'a\u0000b@example.org', password },
  ]
  const seen: unknown[] = []
  for (const attempt of attempts) {
    const before = { hashes: one.hasher.hashes, verifies: one.hasher.verifies }
    const error = await one.accounts
      .login(attempt, home)
      .catch((thrown: unknown) => thrown as { code: string; message: string; meta: unknown })
    const { code, message, meta } = error as { code: string; message: string; meta: unknown }
    seen.push({
      code,
      message,
      meta,
      hashes: one.hasher.hashes - before.hashes,
      verifies: one.hasher.verifies - before.verifies,
    })
  }
  expect(seen).toEqual(
    attempts.map(() => ({ ...(seen[0] as object), code: 'user.invalid_credentials', hashes: 0, verifies: 1 })),
  )
})

test('the first login of a process costs an unknown address and a known one the same', async () => {
  const { user } = await someone(one.accounts)
  for (const email of ['nobody@example.org', user.email]) {
    const fresh = await world.replica()
    await codeOf(fresh.accounts.login({ email, password: 'a wrong river at dawn' }, home))
    expect([fresh.hasher.hashes, fresh.hasher.verifies]).toEqual([1, 1])
  }
})

test('hashes anew at login when the parameters have become stronger, and only then', async () => {
  const { user } = await someone(one.accounts)
  const stored = async (): Promise<string> =>
    (
      await world.db.query<{ h: string }>('select password_hash as h from forge_accounts_users where id = $1', [
        user.id,
      ])
    ).rows[0]!.h
  const stronger = createArgon2({ memoryBytes: 128 * 1024, passes: 2, lanes: 1, insecure: true })
  const replica = await world.replica()
  const old = await stored()
  await replica.accounts.login({ email: user.email, password }, home)
  expect(await stored()).toBe(old)
  Object.assign(replica.hasher, { hash: stronger.hash, outdated: stronger.outdated })
  await replica.accounts.login({ email: user.email, password }, home)
  expect(await stored()).toMatch(/^\$argon2id\$v=19\$m=128,t=2,p=1\$/)
  await expect(one.accounts.login({ email: user.email, password }, home)).resolves.toBeDefined()
})

test('tells of a login, and whether the network was known', async () => {
  const { user } = await someone(one.accounts)
  const events = await heard(userLoggedIn, async () => {
    await one.accounts.login({ email: user.email, password }, home)
    await one.accounts.login({ email: user.email, password }, away)
    await one.accounts.login({ email: user.email, password }, away)
  })
  expect(events.map((event) => [event.ip, event.knownNetwork])).toEqual([
    [home.ip, true],
    [away.ip, false],
    [away.ip, true],
  ])
})

test('refuses a password beyond 1024 bytes before any hashing', async () => {
  const { user } = await someone(one.accounts)
  const before = one.hasher.verifies
  expect(await codeOf(one.accounts.login({ email: user.email, password: 'x'.repeat(1_000_000) }, home))).toBe(
    'user.invalid_credentials',
  )
  expect(one.hasher.verifies).toBe(before)
})

test('signs somebody in who was recognised in another way, inside the caller’s transaction', async () => {
  const { user } = await someone(one.accounts)
  const entered = await world.db.tx((tx) => one.accounts.signIn(user.id, away, tx))
  expect(await one.accounts.authenticate(entered.tokens.accessToken)).toMatchObject({ id: user.id })
  await one.accounts.disable(user.id)
  expect(await codeOf(one.accounts.signIn(user.id, away))).toBe('user.not_found')
})

test('of 200 logins at once those beyond the queue get 503 with Retry-After, and none counts as a failure', async () => {
  const small = await world.replica({ hashQueue: 3 })
  const users = await Promise.all(Array.from({ length: 20 }, () => someone(one.accounts)))
  // No place comes free before all others have been turned away.
  const full = Promise.withResolvers<void>()
  const { verify } = small.hasher
  small.hasher.verify = (encoded, text) => full.promise.then(() => verify(encoded, text))
  let turnedAway = 0
  const logins = Array.from({ length: 200 }, (_, n) =>
    small.accounts.login({ email: users[n % 20]!.user.email, password }, home),
  )
  for (const login of logins) login.catch(() => ++turnedAway === 195 && full.resolve())
  const results = await Promise.allSettled(logins)
  expect(count(results)).toEqual({ fulfilled: 5, codes: { 'accounts.busy': 195 } })
  const busy = results.find((result) => result.status === 'rejected')
  expect(busy).toMatchObject({ reason: { status: 503, retryAfterMs: 2_000 } })
  const { rows } = await world.db.query<{ n: number }>(
    `select coalesce(sum(failures), 0)::int as n from forge_accounts_throttles`,
  )
  const wrong = rows[0]!.n
  await Promise.all(users.map(({ user }) => one.accounts.login({ email: user.email, password }, home)))
  expect(
    (await world.db.query<{ n: number }>(`select coalesce(sum(failures), 0)::int as n from forge_accounts_throttles`))
      .rows[0]!.n,
  ).toBe(wrong)
})

test('never hashes more than its limit at a time, and hands places over in order', async () => {
  const inner = countingHasher()
  const waiting: (() => void)[] = []
  let running = 0
  let most = 0
  const slow = {
    ...inner,
    hash: async (text: string) => {
      most = Math.max(most, ++running)
      await new Promise<void>((resolve) => waiting.push(resolve))
      running--
      return text
    },
  }
  const passwords = new Passwords(slow, { concurrency: 2, queue: 2 })
  const done: string[] = []
  const jobs = ['a', 'b', 'c', 'd'].map((text) => passwords.hash(text).then((value) => done.push(value)))
  expect(await codeOf(passwords.hash('e'))).toBe('accounts.busy')
  expect([passwords.running, passwords.waiting]).toEqual([2, 2])
  for (let n = 0; n < 4; n++) {
    waiting.shift()!()
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(jobs)
  expect([done, most, passwords.running]).toEqual([['a', 'b', 'c', 'd'], 2, 0])
})

test('a hash that fails gives its place back', async () => {
  const failing = { ...countingHasher(), hash: () => Promise.reject(new Error('no memory')) }
  const passwords = new Passwords(failing, { concurrency: 1, queue: 0 })
  for (let n = 0; n < 3; n++) expect(await codeOf(passwords.hash('x'))).toBe('Error: no memory')
  expect(passwords.running).toBe(0)
})

test('refuses parameters below the floor unless it is told that they are for a test', () => {
  expect(() => createArgon2({ memoryBytes: 18 * 1024 * 1024, passes: 3, lanes: 2 })).toThrow(/19 MiB/)
  expect(() => createArgon2({ memoryBytes: 64 * 1024 * 1024, passes: 1, lanes: 2 })).toThrow(/2 passes/)
  expect(() => createArgon2({ memoryBytes: 19 * 1024 * 1024, passes: 2, lanes: 1 })).not.toThrow()
})

test('an encoded form that is not Argon2id matches nothing and is outdated', async () => {
  const argon2 = createArgon2({ memoryBytes: 64 * 1024, passes: 1, lanes: 1, insecure: true })
  for (const encoded of [
    '',
    'plain',
    '$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA',
    '$2b$10$abcdefghijklmnopqrstuv',
  ]) {
    expect(await argon2.verify(encoded, 'plain')).toBe(false)
    expect(argon2.outdated(encoded)).toBe(true)
  }
})
