import { currentContext } from '../../kernel/context.ts'
import type { Queryable } from '../../primitives/db/index.ts'

/** A user without anything secret. */
export interface User {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly role: string
  readonly status: 'active' | 'disabled'
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** A user with what is needed to check a password. */
export interface UserWithPassword extends User {
  readonly emailNormalized: string
  readonly passwordHash: string
  /** `password_changed_at` in full precision: the password that was checked is still the current one while this is. */
  readonly passwordStamp: string
}

export interface NewUser {
  readonly id: string
  readonly email: string
  readonly emailNormalized: string
  readonly passwordHash: string
  readonly name: string
}

const columns = `id, email, name, role, status, version, created_at as "createdAt", updated_at as "updatedAt"`
const secretColumns = `${columns}, email_normalized as "emailNormalized", password_hash as "passwordHash", password_changed_at::text as "passwordStamp"`

const actorId = (): string | null => currentContext()?.actor.id ?? null

/** `undefined` when the address is taken, also by a registration that commits in this moment. */
export async function insertUser(tx: Queryable, user: NewUser, now: Date): Promise<User | undefined> {
  const { rows } = await tx.query<User>(
    `insert into forge_accounts_users
       (id, email, email_normalized, password_hash, name, password_changed_at, created_at, updated_at, created_by, updated_by)
     values ($1, $2, $3, $4, $5, $6, $6, $6, $7, $7)
     on conflict (email_normalized) where deleted_at is null do nothing
     returning ${columns}`,
    [user.id, user.email, user.emailNormalized, user.passwordHash, user.name, now, actorId()],
  )
  return rows[0]
}

export async function findUser(db: Queryable, id: string): Promise<User | undefined> {
  const { rows } = await db.query<User>(
    `select ${columns} from forge_accounts_users where id = $1 and status = 'active' and deleted_at is null`,
    [id],
  )
  return rows[0]
}

/** Disabled users too: whether one may log in is decided after the password has been checked. */
export async function findUserByEmail(db: Queryable, emailNormalized: string): Promise<UserWithPassword | undefined> {
  const { rows } = await db.query<UserWithPassword>(
    `select ${secretColumns} from forge_accounts_users where email_normalized = $1 and deleted_at is null`,
    [emailNormalized],
  )
  return rows[0]
}

export async function findUserWithPassword(db: Queryable, id: string): Promise<UserWithPassword | undefined> {
  const { rows } = await db.query<UserWithPassword>(
    `select ${secretColumns} from forge_accounts_users where id = $1 and status = 'active' and deleted_at is null`,
    [id],
  )
  return rows[0]
}

/**
 * Holds an active user until the transaction ends, so that no password change or disabling slips between the
 * check of the password and the new session. `undefined` when one already has.
 */
export async function holdUser(tx: Queryable, id: string, passwordStamp?: string): Promise<User | undefined> {
  const { rows } = await tx.query<User>(
    `select ${columns} from forge_accounts_users
     where id = $1 and status = 'active' and deleted_at is null and ($2::text is null or password_changed_at = $2::timestamptz)
     for share`,
    [id, passwordStamp ?? null],
  )
  return rows[0]
}

/** False when the password has been changed since `passwordStamp`. */
export async function changePasswordHash(
  tx: Queryable,
  id: string,
  passwordStamp: string,
  hash: string,
  now: Date,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    // Never the same stamp twice, also when the clock has not moved.
    `update forge_accounts_users set password_hash = $3, password_changed_at = greatest($4, password_changed_at + interval '1 microsecond'),
       updated_at = $4, updated_by = $5, version = version + 1
     where id = $1 and password_changed_at = $2::timestamptz and status = 'active' and deleted_at is null`,
    [id, passwordStamp, hash, now, actorId()],
  )
  return rowCount === 1
}

/** Replaces the hash of the same password; nothing that a user would call a change. */
export async function upgradePasswordHash(db: Queryable, id: string, from: string, to: string): Promise<void> {
  await db.query('update forge_accounts_users set password_hash = $3 where id = $1 and password_hash = $2', [
    id,
    from,
    to,
  ])
}

/** Holds a user, active or not, until the transaction ends. False when there is no such user. */
export async function lockUser(tx: Queryable, id: string): Promise<boolean> {
  const { rows } = await tx.query(
    'select 1 from forge_accounts_users where id = $1 and deleted_at is null for update',
    [id],
  )
  return rows.length === 1
}

export async function setStatus(tx: Queryable, id: string, status: 'active' | 'disabled', now: Date): Promise<void> {
  await tx.query(
    `update forge_accounts_users set status = $2, updated_at = $3, updated_by = $4, version = version + 1 where id = $1`,
    [id, status, now, actorId()],
  )
}
