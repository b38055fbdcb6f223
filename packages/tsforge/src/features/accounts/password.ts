import { tell } from '../../primitives/db/index.ts'
import { accountsErrors } from './errors.ts'
import { userPasswordChanged } from './events.ts'
import { fitsHashing, refuseWeakPassword } from './password-policy.ts'
import type { Parts } from './parts.ts'
import { cleanIp } from './person.ts'
import type { Device } from './person.ts'
import { endSessions } from './sessions.ts'
import { changePasswordHash, findUserWithPassword } from './user-repository.ts'

export interface PasswordChange {
  readonly currentPassword: string
  readonly newPassword: string
}

/**
 * Replaces the password and ends every session but `sessionId` (ASVS 5.0, 7.4.3). The current password is asked
 * for, and guessing it is throttled like a login. Throws `user.invalid_credentials`, `user.password_…`,
 * `accounts.too_many_attempts`, `accounts.busy`.
 */
export async function changePassword(
  parts: Parts,
  userId: string,
  sessionId: string,
  change: PasswordChange,
  device: Device,
): Promise<void> {
  const user = await findUserWithPassword(parts.db, userId)
  if (user === undefined || !fitsHashing(change.currentPassword)) throw accountsErrors.error('user.invalid_credentials')
  refuseWeakPassword(change.newPassword, { email: user.emailNormalized, name: user.name })
  const attempt = await parts.throttle.begin(user.emailNormalized, cleanIp(device.ip))
  let changed = false
  try {
    if (await parts.passwords.verify(user.passwordHash, change.currentPassword)) {
      const passwordHash = await parts.passwords.hash(change.newPassword)
      changed = await parts.db.tx(async (tx) => {
        const now = new Date(parts.clock.now())
        // The user's row first, as in login: a login with the old password is either seen here or sees this.
        if (!(await changePasswordHash(tx, userId, user.passwordStamp, passwordHash, now))) return false
        await attempt.succeeded(tx)
        await endSessions(parts, userId, sessionId, 'password_changed', tx)
        tell(tx, userPasswordChanged, { userId })
        await parts.listeners.passwordChanged({ userId }, tx)
        return true
      })
    }
  } catch (error) {
    await attempt
      .cancel()
      .catch((cause: unknown) => parts.log.warn({ err: cause }, 'an attempt could not be taken back'))
    throw error
  }
  if (!changed) throw accountsErrors.error('user.invalid_credentials')
}
