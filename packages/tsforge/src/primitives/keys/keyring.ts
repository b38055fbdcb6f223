import type { KeyObject } from 'node:crypto'
import { importPrivate, importPublic } from './algorithms.ts'
import type { Algorithm, KeyState, PublicJwk, TokenType } from './keys.ts'
import type { StoredKey } from './store.ts'

/** A key ready for use. */
export interface RingKey {
  readonly kid: string
  readonly algorithm: Algorithm
  readonly state: KeyState
  readonly verifying: KeyObject
  /** `undefined` once retired. */
  readonly signing: KeyObject | undefined
  readonly publicJwk: PublicJwk | null
  readonly activatedAt: number
  readonly notBefore: number
  /** Milliseconds since the epoch; infinite until retired. */
  readonly expiresAt: number
  /** Encoded headers by token type; they never change for a key. */
  readonly headers: Map<TokenType, string>
}

/** All keys as they were at one load. Replaced as a whole, never changed. */
export interface KeyRing {
  readonly keys: ReadonlyMap<string, RingKey>
  readonly active: RingKey
  readonly next: RingKey
}

/** Turns rows into a ring, reusing the imported halves of `previous`. `undefined` when a key is missing. */
export function createRing(
  rows: readonly StoredKey[],
  open: (row: StoredKey) => string,
  previous?: KeyRing,
): KeyRing | undefined {
  const keys = new Map<string, RingKey>()
  let active: RingKey | undefined
  let next: RingKey | undefined
  for (const row of rows) {
    const key = ringKey(row, open, previous?.keys.get(row.kid))
    keys.set(key.kid, key)
    if (key.state === 'active') active = key
    else if (key.state === 'next') next = key
  }
  return active === undefined || next === undefined ? undefined : { keys, active, next }
}

function ringKey(row: StoredKey, open: (row: StoredKey) => string, known: RingKey | undefined): RingKey {
  const halves = known ?? importHalves(row, open)
  return {
    kid: row.kid,
    algorithm: row.algorithm,
    state: row.state,
    verifying: halves.verifying,
    signing: row.state === 'retired' ? undefined : halves.signing,
    publicJwk: row.publicJwk,
    activatedAt: row.activatedAt?.getTime() ?? Number.POSITIVE_INFINITY,
    notBefore: row.notBefore.getTime(),
    expiresAt: row.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
    headers: known?.headers ?? new Map(),
  }
}

function importHalves(row: StoredKey, open: (row: StoredKey) => string): Pick<RingKey, 'verifying' | 'signing'> {
  const signing = row.privateJwk === null ? undefined : importPrivate(row.algorithm, JSON.parse(open(row)))
  if (row.publicJwk !== null) return { verifying: importPublic(row.publicJwk), signing }
  if (signing === undefined) throw new TypeError(`key ${row.kid} has neither half`)
  return { verifying: signing, signing }
}
