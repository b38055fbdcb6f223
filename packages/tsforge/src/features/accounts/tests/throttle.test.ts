import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { accountPace, networkPace, pairPace } from '../throttle-policy.ts'
import { codeOf, count, createWorld, day, home, minute, password, someone } from './setup.ts'
import type { Replica, World } from './setup.ts'

let world: World
let one: Replica
let two: Replica
beforeAll(async () => {
  world = await createWorld()
  one = await world.replica()
  two = await world.replica()
})
beforeEach(() => world.db.query('truncate forge_accounts_throttles'))
afterAll(() => world.close())

const wrong = 'a wrong river at dawn'
const from = (ip: string): { ip: string } => ({ ip })
const guess = (email: string, ip: string, replica: Replica = one): Promise<string> =>
  codeOf(replica.accounts.login({ email, password: wrong }, from(ip)))
const enter = (email: string, ip: string, replica: Replica = one): Promise<string> =>
  codeOf(replica.accounts.login({ email, password }, from(ip)))
const waitOf = async (email: string, ip: string): Promise<number> => {
  const error = await one.accounts
    .login({ email, password }, from(ip))
    .catch((thrown: unknown) => thrown as { retryAfterMs?: number })
  return (error as { retryAfterMs?: number }).retryAfterMs ?? 0
}

test('50 guesses at once, over two processes, get exactly the free ones', async () => {
  const { user } = await someone(one.accounts)
  const results = await Promise.allSettled(
    Array.from({ length: 50 }, (_, n) =>
      (n % 2 === 0 ? one : two).accounts.login({ email: user.email, password: wrong }, home),
    ),
  )
  expect(count(results).codes).toEqual({
    'user.invalid_credentials': pairPace.free,
    'accounts.too_many_attempts': 50 - pairPace.free,
  })
})

test('the wait doubles with each further failure up to its cap, and attempts that are refused prolong nothing', async () => {
  const { user } = await someone(one.accounts)
  for (let n = 0; n < pairPace.free; n++) await guess(user.email, home.ip)
  const waits: number[] = []
  for (let n = 0; n < 12; n++) {
    for (let hammer = 0; hammer < 3; hammer++)
      expect(await guess(user.email, home.ip)).toBe('accounts.too_many_attempts')
    waits.push(await waitOf(user.email, home.ip))
    world.later(waits.at(-1)!)
    expect(await guess(user.email, home.ip)).toBe('user.invalid_credentials')
  }
  expect(waits.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000])
  expect(waits.at(-1)).toBe(15 * minute)
})

test('a success forgets the failures', async () => {
  const { user } = await someone(one.accounts)
  for (let round = 0; round < 4; round++) {
    for (let n = 0; n < pairPace.free - 1; n++)
      expect(await guess(user.email, home.ip)).toBe('user.invalid_credentials')
    expect(await enter(user.email, home.ip)).toBe('none')
  }
})

test('one account guessed from many networks: strangers wait, the owner passes at home', async () => {
  const { user } = await someone(one.accounts)
  const codes: string[] = []
  for (let n = 0; n < 60; n++) codes.push(await guess(user.email, `203.0.113.${n}`, n % 2 === 0 ? one : two))
  expect(codes.slice(0, accountPace.free).every((code) => code === 'user.invalid_credentials')).toBe(true)
  expect(codes.slice(accountPace.free).every((code) => code === 'accounts.too_many_attempts')).toBe(true)
  expect(await enter(user.email, home.ip)).toBe('none')
})

test('the owner on a new network waits once, at most 30 s, however hard the attack goes on', async () => {
  const { user } = await someone(one.accounts)
  for (let n = 0; n < 30; n++) {
    await guess(user.email, `203.0.113.${n}`)
    world.later(accountPace.capMs)
    await guess(user.email, `203.0.113.${n}`)
  }
  const wait = await waitOf(user.email, '192.0.2.99')
  expect(wait).toBe(30_000)
  for (let n = 100; n < 160; n++) await guess(user.email, `203.0.113.${n}`)
  world.later(wait)
  for (let n = 100; n < 160; n++) await guess(user.email, `203.0.113.${n}`)
  expect(await enter(user.email, '192.0.2.99')).toBe('none')
})

test('addresses of one IPv6 /64 are one network, and an IPv4 address inside IPv6 is the IPv4 address', async () => {
  const { user } = await someone(one.accounts)
  for (let n = 0; n < pairPace.free; n++) await guess(user.email, `2001:db8:1:2:${n.toString(16)}::${n + 1}`)
  expect(await guess(user.email, '2001:db8:1:2:ffff:ffff:ffff:ffff')).toBe('accounts.too_many_attempts')
  expect(await guess(user.email, '2001:db8:1:3::1')).toBe('user.invalid_credentials')
  await world.db.query('truncate forge_accounts_throttles')
  for (let n = 0; n < pairPace.free; n++) await guess(user.email, n % 2 === 0 ? '::ffff:203.0.113.9' : '203.0.113.9')
  expect(await guess(user.email, '203.0.113.9')).toBe('accounts.too_many_attempts')
})

test('variants of an address share one count', async () => {
  await one.accounts.register({ email: 'zoë@example.org', password, name: 'Zoë' }, home)
  const variants = [
    'zoë@example.org',
    'ZOË@EXAMPLE.ORG',
    ' Zoë@example.org',
    'zoe\u0308@example.org',
    'ZOE\u0308@example.org',
  ]
  for (let n = 0; n < pairPace.free; n++)
    expect(await guess(variants[n % variants.length]!, home.ip)).toBe('user.invalid_credentials')
  for (const variant of variants) expect(await guess(variant, home.ip)).toBe('accounts.too_many_attempts')
})

test('many accounts guessed from one network: the network waits, whoever has logged in from there does not', async () => {
  const { user } = await someone(one.accounts)
  const stranger = await one.accounts.register(
    { email: 'stranger@example.org', password, name: 'S' },
    from('192.0.2.77'),
  )
  const codes: string[] = []
  for (let n = 0; n < networkPace.free + 20; n++) codes.push(await guess(`victim${n}@example.org`, home.ip))
  expect(codes.filter((code) => code === 'user.invalid_credentials')).toHaveLength(networkPace.free)
  expect(await enter(user.email, home.ip)).toBe('none')
  expect(await enter(stranger.user.email, home.ip)).toBe('accounts.too_many_attempts')
  expect(await enter(stranger.user.email, '192.0.2.78')).toBe('none')
  world.later(networkPace.capMs)
  expect(await enter(stranger.user.email, home.ip)).toBe('none')
})

test('an own account does not buy an attacker new guesses from his network', async () => {
  const own = await one.accounts.register({ email: 'attacker@example.org', password, name: 'X' }, home)
  const codes: string[] = []
  for (let n = 0; n < networkPace.free + 20; n++) {
    codes.push(await guess(`target${n}@example.org`, home.ip))
    await enter(own.user.email, home.ip)
  }
  expect(codes.filter((code) => code === 'user.invalid_credentials')).toHaveLength(networkPace.free)
})

test('an unknown address is throttled exactly like a known one', async () => {
  const { user } = await someone(one.accounts)
  await world.db.query('truncate forge_accounts_throttles')
  const series = async (email: string): Promise<string[]> => {
    const codes: string[] = []
    for (let n = 0; n < pairPace.free + 3; n++) codes.push(await guess(email, home.ip))
    return codes
  }
  expect(await series('nobody@example.org')).toEqual(await series(user.email))
})

test('guessing the current password with a stolen access token is throttled like a login', async () => {
  const { user, sessionId } = await someone(one.accounts)
  const attempt = (): Promise<string> =>
    codeOf(
      one.accounts.changePassword(
        user.id,
        sessionId,
        { currentPassword: wrong, newPassword: 'another river at dusk' },
        from('203.0.113.5'),
      ),
    )
  const codes: string[] = []
  for (let n = 0; n < pairPace.free + 2; n++) codes.push(await attempt())
  expect(codes.slice(-3)).toEqual([
    'user.invalid_credentials',
    'accounts.too_many_attempts',
    'accounts.too_many_attempts',
  ])
})

test('an outage while judging counts for nobody', async () => {
  const { user } = await someone(one.accounts)
  const broken = await world.replica()
  Object.assign(broken.hasher, { verify: () => Promise.reject(new Error('no memory')) })
  for (let n = 0; n < 2 * pairPace.free; n++) expect(await enter(user.email, home.ip, broken)).toBe('Error: no memory')
  expect(await enter(user.email, home.ip)).toBe('none')
})

test('a clock of another replica that is ahead never makes anybody wait longer than the wait', async () => {
  const { user } = await someone(one.accounts)
  for (let n = 0; n < pairPace.free; n++) await guess(user.email, home.ip)
  await world.db.query(`update forge_accounts_throttles set last_at = last_at + interval '2 hours'`)
  expect(await waitOf(user.email, home.ip)).toBe(pairPace.baseMs)
})

test('refused attempts write nothing, and what has been forgotten is deleted', async () => {
  const { user } = await someone(one.accounts)
  for (let n = 0; n < pairPace.free; n++) await guess(user.email, home.ip)
  const state = async (): Promise<unknown> =>
    (await world.db.query('select *, xmin::text from forge_accounts_throttles order by key')).rows
  const before = await state()
  for (let n = 0; n < 5; n++) await guess(user.email, home.ip)
  expect(await state()).toEqual(before)
  world.later(2 * day)
  await one.accounts.sweep()
  // The known network of the user stays for longer.
  expect(await state()).toHaveLength(1)
  world.later(91 * day)
  await one.accounts.sweep()
  expect(await state()).toEqual([])
})
