import { uuidv7 } from '../../kernel/ids.ts'
import { tell, within } from '../../primitives/db/index.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import { readEmail } from './email.ts'
import { accountsErrors } from './errors.ts'
import { userRegistered } from './events.ts'
import { refuseWeakPassword } from './password-policy.ts'
import type { Parts } from './parts.ts'
import { cleanIp, firstCodePoints, readName } from './person.ts'
import type { Device } from './person.ts'
import { openSession } from './sessions.ts'
import type { TokenPair } from './tokens.ts'
import { insertUser } from './user-repository.ts'
import type { User } from './user-repository.ts'

export interface Registration {
  readonly email: string
  readonly password: string
  readonly name: string
}

export interface SignedIn {
  readonly user: User
  readonly sessionId: string
  readonly tokens: TokenPair
}

const maxTenantName = 100

/**
 * Creates the user, the personal tenant, the first session and its tokens: all or nothing. Hashes before it asks
 * whether the address is taken, so that the answer's time does not tell before the answer does.
 * Throws `user.email_taken`, `user.email_invalid`, `user.name_invalid`, `user.password_…`, `accounts.busy`.
 */
export async function register(parts: Parts, values: Registration, device: Device, tx?: Queryable): Promise<SignedIn> {
  const { email, normalized } = readEmail(values.email)
  const name = readName(values.name)
  refuseWeakPassword(values.password, { email: normalized, name })
  const passwordHash = await parts.passwords.hash(values.password)
  return within(parts.db, tx, async (t) => {
    const id = uuidv7()
    const now = new Date(parts.clock.now())
    const user = await insertUser(t, { id, email, emailNormalized: normalized, passwordHash, name }, now)
    if (user === undefined) throw accountsErrors.error('user.email_taken')
    const tenant = await parts.tenants.createPersonal({ userId: id, name: firstCodePoints(name, maxTenantName) }, t)
    await parts.throttle.remember(normalized, cleanIp(device.ip), t)
    const { sessionId, tokens } = await openSession(parts, t, id, tenant.id, device)
    const event = { userId: id, tenantId: tenant.id, sessionId }
    tell(t, userRegistered, event)
    await parts.listeners.registered(event, t)
    return { user, sessionId, tokens }
  })
}
