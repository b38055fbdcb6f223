import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import { expect } from 'vitest'
import { silentLog } from '../../../kernel/log.ts'
import { createSecrets } from '../../../kernel/secrets.ts'
import type { Db } from '../../../primitives/db/index.ts'
import { createKeys } from '../../../primitives/keys/create-keys.ts'
import type { RunningKeys } from '../../../primitives/keys/create-keys.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import { testDb } from '../../../testing/db.ts'
import { createMemberships } from '../../tenants/create-memberships.ts'
import { createTenants } from '../../tenants/create-tenants.ts'
import { createAccounts } from '../accounts.ts'
import type { RunningAccounts } from '../accounts.ts'
import { createArgon2 } from '../argon2.ts'
import type { Hasher } from '../hasher.ts'
import type { AccountsOptions } from '../options.ts'
import type { SignedIn } from '../register.ts'

export const minute = 60_000
export const day: number = 24 * 60 * minute

export const options: AccountsOptions = {
  accessTtlMs: 15 * minute,
  refreshIdleMs: 7 * day,
  refreshAbsoluteMs: 30 * day,
  refreshGraceMs: 10_000,
  maxSessions: 100,
  hashMemoryBytes: 64 * 1024,
  hashPasses: 1,
  hashLanes: 1,
  hashConcurrency: 2,
  hashQueue: 1_000,
  hashInsecure: true,
}

/** Real Argon2id, cheap, and counting. */
export interface CountingHasher extends Hasher {
  hashes: number
  verifies: number
}

export function countingHasher(): CountingHasher {
  const argon2 = createArgon2({ memoryBytes: 64 * 1024, passes: 1, lanes: 1, insecure: true })
  const counting: CountingHasher = {
    hashes: 0,
    verifies: 0,
    hash: (password) => (counting.hashes++, argon2.hash(password)),
    verify: (encoded, password) => (counting.verifies++, argon2.verify(encoded, password)),
    outdated: (encoded) => argon2.outdated(encoded),
  }
  return counting
}

/** One process of the app: its own pool, caches and loops. */
export interface Replica {
  readonly db: Db
  readonly keys: RunningKeys
  readonly accounts: RunningAccounts
  readonly hasher: CountingHasher
}

export interface World {
  readonly clock: FakeClock
  readonly db: Db
  /** Lets much time pass at once, without the thousands of polls in between. */
  later(ms: number): void
  replica(overrides?: Partial<AccountsOptions>, wrap?: (db: Db) => Db): Promise<Replica>
  close(): Promise<void>
}

const migrations = ['keys', 'tenants', 'accounts'].map((module) => ({
  module,
  directory: new URL(
    `../../../${module === 'keys' ? 'primitives' : 'features'}/${module}/migrations/`,
    import.meta.url,
  ),
}))

const secrets = createSecrets({ current: 'correct-horse-battery-staple-of-the-tests' })

/** A database of its own, a clock that stands still, and as many replicas as a test asks for. */
export async function createWorld(): Promise<World> {
  const db = await testDb({ migrations })
  const clock = createFakeClock()
  const closers: (() => Promise<void>)[] = []
  return {
    clock,
    db,
    later: (ms) => clock.jump(clock.now() + ms),
    async replica(overrides = {}, wrap = (plain) => plain) {
      // An engine with one connection has no second pool: its replicas share it.
      const own = wrap(db.capabilities.concurrent ? db.another() : db)
      const keys = createKeys({
        db: own,
        clock,
        log: silentLog,
        secrets,
        options: {
          issuer: 'https://api.test',
          audience: 'api',
          algorithm: 'EdDSA',
          rotateEveryMs: 300 * day,
          maxTtlMs: 60 * minute,
          leewayMs: 0,
          refreshMs: 30_000,
          cacheEntries: 1_000,
          cacheBytes: 1_000_000,
        },
      })
      const memberships = createMemberships({
        db: own,
        clock,
        log: silentLog,
        options: { cacheEntries: 100, cacheTtlMs: 1_000 },
      })
      const hasher = countingHasher()
      const tenants = createTenants({ db: own, clock, memberships })
      const accounts = createAccounts({
        db: own,
        keys,
        tenants,
        clock,
        log: silentLog,
        options: { ...options, ...overrides },
        hasher,
      })
      await keys.start()
      await accounts.start()
      closers.push(async () => {
        await accounts.stop()
        await keys.stop()
      })
      return { db: own, keys, accounts, hasher }
    },
    async close() {
      for (const close of closers) await close()
      await db[Symbol.asyncDispose]()
    },
  }
}

export const password = 'a quiet river at dawn'
export const home = { ip: '192.0.2.10', userAgent: 'home' }

let people = 0

/** Registers somebody new from `home`. */
export async function someone(accounts: RunningAccounts): Promise<SignedIn> {
  return accounts.register({ email: `person${++people}@example.org`, password, name: 'Ada' }, home)
}

/** The code of what a promise rejects with. */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === 'function' ? work() : work)
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  return 'none'
}

/** Waits until `condition` holds: for what another connection brings. Patient, since a busy machine proves nothing. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await expect.poll(condition, { interval: 5 }).toBe(true)
}

/** What a channel publishes while `work` runs. */
export async function heard<Message>(
  channel: Channel<unknown, Message>,
  work: () => Promise<unknown>,
): Promise<Message[]> {
  const messages: Message[] = []
  const listen = (message: unknown): void => void messages.push(message as Message)
  subscribe(channel.name as string, listen)
  try {
    await work()
  } finally {
    unsubscribe(channel.name as string, listen)
  }
  return messages
}

export function count(results: readonly PromiseSettledResult<unknown>[]): {
  fulfilled: number
  codes: Record<string, number>
} {
  const codes: Record<string, number> = {}
  let fulfilled = 0
  for (const result of results) {
    if (result.status === 'fulfilled') fulfilled++
    else {
      const { code = String(result.reason) } = result.reason as { code?: string }
      codes[code] = (codes[code] ?? 0) + 1
    }
  }
  return { fulfilled, codes }
}
