import type { Db, Queryable } from '../db/index.ts'
import type { Algorithm, KeyState, PublicJwk } from './keys.ts'

/** A row of `forge_keys_signing_keys`. `privateJwk` is sealed. */
export interface StoredKey {
  readonly kid: string
  readonly algorithm: Algorithm
  readonly state: KeyState
  readonly publicJwk: PublicJwk | null
  readonly privateJwk: string | null
  readonly createdAt: Date
  readonly notBefore: Date
  readonly activatedAt: Date | null
  readonly retiredAt: Date | null
  readonly expiresAt: Date | null
}

export type NewKey = Pick<StoredKey, 'kid' | 'algorithm' | 'publicJwk' | 'privateJwk' | 'createdAt' | 'notBefore'>

const columns = `kid, algorithm, state, public_jwk as "publicJwk", private_jwk as "privateJwk", created_at as "createdAt",
  not_before as "notBefore", activated_at as "activatedAt", retired_at as "retiredAt", expires_at as "expiresAt"`

/** Keys that still sign, wait or verify at `now`, newest first. */
export async function loadKeys(db: Queryable, now: Date): Promise<StoredKey[]> {
  const { rows } = await db.query<StoredKey>(
    `select ${columns} from forge_keys_signing_keys where expires_at is null or expires_at > $1 order by created_at desc, kid`,
    [now],
  )
  return rows
}

/** Inserts unless another key is in this state already: of any number of callers, one wins. True when it did. */
export async function insertKey(db: Queryable, key: NewKey, state: 'active' | 'next'): Promise<boolean> {
  const { rowCount } = await db.query(
    `insert into forge_keys_signing_keys (kid, algorithm, state, public_jwk, private_jwk, created_at, not_before, activated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
    [
      key.kid,
      key.algorithm,
      state,
      key.publicJwk === null ? null : JSON.stringify(key.publicJwk),
      key.privateJwk,
      key.createdAt,
      key.notBefore,
      state === 'active' ? key.createdAt : null,
    ],
  )
  return rowCount === 1
}

/** Puts `key` in the place of the waiting key `kid`. Must run in a transaction. False when somebody else has done so. */
export async function replaceNext(tx: Queryable, kid: string, key: NewKey): Promise<boolean> {
  const { rowCount } = await tx.query(`delete from forge_keys_signing_keys where kid = $1 and state = 'next'`, [kid])
  return rowCount === 1 && (await insertKey(tx, key, 'next'))
}

/** Lets a retired key expire at `now`. False when there is no such key. */
export async function expireKey(db: Queryable, kid: string, now: Date): Promise<boolean> {
  const { rowCount } = await db.query(
    `update forge_keys_signing_keys set expires_at = least(expires_at, $2) where kid = $1 and state = 'retired'`,
    [kid, now],
  )
  return rowCount === 1
}

/** What an attempt to rotate came to. */
export type Turn =
  | { readonly outcome: 'rotated' | 'lost'; readonly active: string; readonly next: string }
  | { readonly outcome: 'too_soon'; readonly notBefore: Date }

export interface TurnOptions {
  /** The key that the caller believes to be active: whoever comes second believes wrong, and loses. */
  readonly expected: string
  readonly replacement: NewKey
  readonly now: Date
  readonly expiresAt: Date
  /** Ignore `not_before` of the next key. */
  readonly force: boolean
}

/** Moves every key one state on. Must run in a transaction; changes nothing unless the outcome is `rotated`. */
export async function turn(
  tx: Queryable,
  { expected, replacement, now, expiresAt, force }: TurnOptions,
): Promise<Turn> {
  const { rows } = await tx.query<{ kid: string; state: KeyState; notBefore: Date }>(
    `select kid, state, not_before as "notBefore" from forge_keys_signing_keys where state <> 'retired' order by kid for update`,
  )
  const active = rows.find((row) => row.state === 'active')
  const next = rows.find((row) => row.state === 'next')
  // Whoever waited for the lock sees the winner's promotion, but not yet the winner's new key.
  if (active?.kid !== expected || next === undefined)
    return { outcome: 'lost', active: active?.kid ?? '', next: next?.kid ?? '' }
  if (!force && next.notBefore > now) return { outcome: 'too_soon', notBefore: next.notBefore }

  await tx.query(
    `update forge_keys_signing_keys set state = 'retired', retired_at = $2, expires_at = $3,
       private_jwk = case when algorithm = 'HS256' then private_jwk end
     where kid = $1`,
    [active.kid, now, expiresAt],
  )
  await tx.query(`update forge_keys_signing_keys set state = 'active', activated_at = $2 where kid = $1`, [
    next.kid,
    now,
  ])
  await insertKey(tx, replacement, 'next')
  return { outcome: 'rotated', active: next.kid, next: replacement.kid }
}

/** Deletes keys that expired before `before`. */
export async function sweepKeys(db: Queryable, before: Date): Promise<void> {
  await db.query('delete from forge_keys_signing_keys where expires_at < $1', [before])
}

/** The channel on which replicas tell each other that the keys have changed. */
export const keysChannel = 'forge_keys'

export function announce(db: Db, tx?: Queryable): Promise<void> {
  return db.notify(keysChannel, '', tx)
}
