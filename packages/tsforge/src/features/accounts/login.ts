import { tell } from '../../primitives/db/index.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import { isEmail, normalizeEmail } from './email.ts'
import { accountsErrors } from './errors.ts'
import { userLoggedIn } from './events.ts'
import { fitsHashing } from './password-policy.ts'
import type { Parts } from './parts.ts'
import { cleanIp, cleanUserAgent } from './person.ts'
import type { Device } from './person.ts'
import type { SignedIn } from './register.ts'
import { openSession } from './sessions.ts'
import type { Attempt } from './throttle.ts'
import { findUserByEmail, holdUser, upgradePasswordHash } from './user-repository.ts'
import type { UserWithPassword } from './user-repository.ts'

export interface Login {
  readonly email: string
  readonly password: string
}

/**
 * Checks a password and opens a session. An unknown address, a wrong password and a disabled user cost the same
 * work and get the same answer. Throws `user.invalid_credentials`, `accounts.too_many_attempts`, `accounts.busy`.
 */
export async function login(parts: Parts, values: Login, device: Device): Promise<SignedIn> {
  if (!fitsHashing(values.password)) throw accountsErrors.error('user.invalid_credentials')
  const normalized = normalizeEmail(values.email.slice(0, 1_024))
  const ip = cleanIp(device.ip)
  const attempt = await parts.throttle.begin(normalized, ip)
  let signedIn: SignedIn | undefined
  try {
    const user = isEmail(normalized) ? await findUserByEmail(parts.db, normalized) : undefined
    const matches = await parts.passwords.verify(user?.passwordHash, values.password)
    if (user !== undefined && matches && user.status === 'active') {
      signedIn = await parts.db.tx((tx) => enter(parts, tx, user, attempt, device))
      if (signedIn !== undefined) await strengthen(parts, user, values.password)
    }
  } catch (error) {
    // Nobody has been found wrong: an outage must not count against the owner.
    await attempt
      .cancel()
      .catch((cause: unknown) => parts.log.warn({ err: cause }, 'an attempt could not be taken back'))
    throw error
  }
  if (signedIn === undefined) throw accountsErrors.error('user.invalid_credentials')
  return signedIn
}

/**
 * Opens a session for a user whose identity has been proved in some way, in the caller's transaction. Throws
 * `user.not_found` for unknown and disabled users.
 */
export async function signIn(parts: Parts, userId: string, device: Device, tx: Queryable): Promise<SignedIn> {
  const user = await holdUser(tx, userId)
  if (user === undefined) throw accountsErrors.error('user.not_found')
  return { user, ...(await openSession(parts, tx, userId, await parts.tenants.defaultFor(userId, tx), device)) }
}

async function enter(
  parts: Parts,
  tx: Queryable,
  user: UserWithPassword,
  attempt: Attempt,
  device: Device,
): Promise<SignedIn | undefined> {
  const held = await holdUser(tx, user.id, user.passwordStamp)
  if (held === undefined) return undefined
  await attempt.succeeded(tx)
  const tenantId = await parts.tenants.defaultFor(user.id, tx)
  const { sessionId, tokens } = await openSession(parts, tx, user.id, tenantId, device)
  const event = {
    userId: user.id,
    sessionId,
    ip: cleanIp(device.ip),
    userAgent: cleanUserAgent(device.userAgent),
    knownNetwork: attempt.known,
  }
  tell(tx, userLoggedIn, event)
  await parts.listeners.loggedIn(event, tx)
  return { user: held, sessionId, tokens }
}

/** Hashes anew when today's parameters are stronger. A failure costs nothing but the next login's attempt. */
async function strengthen({ db, log, passwords }: Parts, user: UserWithPassword, password: string): Promise<void> {
  if (!passwords.outdated(user.passwordHash)) return
  try {
    await upgradePasswordHash(db, user.id, user.passwordHash, await passwords.hash(password))
  } catch (error) {
    log.warn({ err: error, userId: user.id }, 'a password hash could not be strengthened')
  }
}
