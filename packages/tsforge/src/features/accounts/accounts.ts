import { availableParallelism } from 'node:os'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { createMetrics } from '../../kernel/metrics.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import { within } from '../../primitives/db/index.ts'
import type { Db, Queryable } from '../../primitives/db/index.ts'
import type { Keys } from '../../primitives/keys/index.ts'
import type { Tenants } from '../tenants/index.ts'
import { createArgon2 } from './argon2.ts'
import { createAuthenticate, createRecheck } from './authenticate.ts'
import type { Authenticate, Recheck } from './authenticate.ts'
import { accountsErrors } from './errors.ts'
import { Passwords } from './hasher.ts'
import type { Hasher } from './hasher.ts'
import { Listeners } from './listener.ts'
import type { AccountsListener } from './listener.ts'
import { login, signIn } from './login.ts'
import type { Login } from './login.ts'
import type { AccountsOptions } from './options.ts'
import { Outcomes } from './outcomes.ts'
import type { Parts } from './parts.ts'
import { changePassword } from './password.ts'
import type { PasswordChange } from './password.ts'
import type { Device } from './person.ts'
import { refresh } from './refresh.ts'
import { register } from './register.ts'
import type { Registration, SignedIn } from './register.ts'
import { Revocations } from './revocations.ts'
import type { Session } from './session-repository.ts'
import { endSession, endSessions, liveSessions } from './sessions.ts'
import { disable, enable } from './status.ts'
import { startSweeping, sweep } from './sweep.ts'
import { createThrottle } from './throttle.ts'
import { accessType } from './tokens.ts'
import type { TokenPair } from './tokens.ts'
import { findUser } from './user-repository.ts'
import type { User } from './user-repository.ts'

/**
 * Users, their passwords and their sessions. Nothing here asks for permission: the routes (or the caller) do.
 * Functions with a trailing `tx` take part in the caller's transaction.
 */
export interface Accounts {
  /** Creates a user with a personal tenant and signs in. Throws `user.email_taken` and what a form can get wrong. */
  register(values: Registration, device: Device, tx?: Queryable): Promise<SignedIn>
  /** Throws `user.invalid_credentials`, `accounts.too_many_attempts`, `accounts.busy`. */
  login(values: Login, device: Device): Promise<SignedIn>
  /** Opens a session for somebody whose identity was proved in another way. Throws `user.not_found`. */
  signIn(userId: string, device: Device, tx?: Queryable): Promise<SignedIn>
  /** The next pair. Throws `auth.refresh_invalid`, `auth.refresh_expired`, `auth.session_revoked`, `auth.token_reused`. */
  refresh(refreshToken: string, device: Device): Promise<TokenPair>
  /** Ends every session but `sessionId`. Throws `user.invalid_credentials` and `user.password_…`. */
  changePassword(userId: string, sessionId: string, change: PasswordChange, device: Device): Promise<void>
  /** An active user, or `undefined`. */
  find(userId: string, tx?: Queryable): Promise<User | undefined>
  /** Live sessions, the one used last first. */
  sessions(userId: string): Promise<Session[]>
  /** Ends one session of the user. Throws `session.not_found`, for a foreign one too. */
  revoke(userId: string, sessionId: string, tx?: Queryable): Promise<void>
  /** Ends the user's sessions, all or all but one. Returns how many. */
  revokeAll(userId: string, except?: string | null, tx?: Queryable): Promise<number>
  /** Ends the session that asks for it. Idempotent. */
  logout(userId: string, sessionId: string): Promise<void>
  /** The user cannot log in, and all sessions end. Throws `user.not_found`. */
  disable(userId: string, tx?: Queryable): Promise<void>
  /** Throws `user.not_found`. */
  enable(userId: string, tx?: Queryable): Promise<void>
  /** Is told what happens, in its transaction. Gives how to end that. */
  listen(listener: AccountsListener): () => void
  /** Turns an access token into its actor; synchronous wherever memory knows the answer. Throws a 401. */
  readonly authenticate: Authenticate
  /** Whether somebody who was let in a while ago would be now: throws (rejects with) a 401 otherwise. */
  readonly recheck: Recheck
}

export const accountsPort: Port<Accounts> = port<Accounts>('accounts', () =>
  import('./plugin.ts').then((m) => m.accounts()),
)

export interface AccountsParts {
  readonly db: Db
  readonly keys: Keys
  readonly tenants: Tenants
  readonly clock: Clock
  readonly log: Log
  readonly options: AccountsOptions
  /** Default: counted and shown nowhere. */
  readonly metrics?: Metrics
  /** Default: Argon2id with the parameters of the options. */
  readonly hasher?: Hasher
}

/** The service with what only its plugin needs. */
export interface RunningAccounts extends Accounts {
  readonly passwords: Passwords
  readonly revocations: Revocations
  sweep(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Accounts in a database. Correct before `start`, too; then each access token is looked up. */
export function createAccounts(given: AccountsParts): RunningAccounts {
  const { db, keys, clock, log, options, metrics = createMetrics() } = given
  const outcomes = new Outcomes(metrics)
  const hasher =
    given.hasher ??
    createArgon2({
      memoryBytes: options.hashMemoryBytes,
      passes: options.hashPasses,
      lanes: options.hashLanes,
      insecure: options.hashInsecure,
    })
  // Three of libuv's four threads at most: files and name look-ups need one, too.
  const concurrency = options.hashConcurrency ?? Math.min(availableParallelism(), 3)
  const parts: Parts = {
    ...given,
    passwords: new Passwords(hasher, { concurrency, queue: options.hashQueue }),
    throttle: createThrottle(db, clock),
    revocations: new Revocations({
      db,
      clock,
      log,
      accessTtlMs: options.accessTtlMs,
      onRevoked: (sessionId) => keys.forget(sessionId),
    }),
    listeners: new Listeners(),
  }
  let stopSweeping: (() => Promise<void>) | undefined
  let stopped = false
  return {
    passwords: parts.passwords,
    revocations: parts.revocations,
    authenticate: createAuthenticate(parts),
    recheck: createRecheck(parts),
    register: (values, device, tx) => outcomes.count('register', register(parts, values, device, tx)),
    login: (values, device) => outcomes.count('login', login(parts, values, device)),
    signIn: (userId, device, tx) => within(db, tx, (t) => signIn(parts, userId, device, t)),
    refresh: (token, device) => outcomes.count('refresh', refresh(parts, token, device)),
    changePassword: (userId, sessionId, change, device) => changePassword(parts, userId, sessionId, change, device),
    find: (userId, tx = db) => findUser(tx, userId),
    listen: (listener) => parts.listeners.add(listener),
    sessions: (userId) => liveSessions(parts, userId),
    revoke: (userId, sessionId, tx) => endSession(parts, userId, sessionId, 'revoked', tx),
    revokeAll: (userId, except = null, tx) => endSessions(parts, userId, except, 'revoked', tx),
    logout: (userId, sessionId) =>
      endSession(parts, userId, sessionId, 'logout').catch((error: unknown) => {
        if (!accountsErrors.is(error, 'session.not_found')) throw error
      }),
    disable: (userId, tx) => disable(parts, userId, tx),
    enable: (userId, tx) => enable(parts, userId, tx),
    sweep: () => sweep(parts),
    async start() {
      stopped = false
      // A life that the keys refuse would otherwise show at the first login.
      await keys.sign({ sub: 'start' }, { type: accessType, ttlMs: options.accessTtlMs })
      await parts.revocations.start()
      if (!stopped) stopSweeping = startSweeping(parts)
    },
    async stop() {
      stopped = true
      await stopSweeping?.()
      await parts.revocations.stop()
    },
  }
}
