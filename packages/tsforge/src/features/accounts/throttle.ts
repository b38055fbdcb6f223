import { hash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import type { Db, Queryable } from '../../primitives/db/index.ts'
import { accountsErrors } from './errors.ts'
import type { AccountsErrorCode } from './errors.ts'
import type { ForgeError } from '../../kernel/errors.ts'
import { networkOf } from './person.ts'
import { accountPace, judge, knownForMs, networkPace, pairPace, remembered, rowLifeMs } from './throttle-policy.ts'
import type { Tallies, Tally, Verdict } from './throttle-policy.ts'
import { lockTallies, readTallies, rememberSuccess, takeBack, writeFailures } from './throttle-repository.ts'

/** An attempt that has been counted as a failure in advance. */
export interface Attempt {
  /** Whether this account has been used from this network before. */
  readonly known: boolean
  /** It was none: forgets the pair's failures and makes the network a known one. Commits with `tx`. */
  succeeded(tx: Queryable): Promise<void>
  /** It could not be judged (an outage, a full queue): takes the count back. */
  cancel(): Promise<void>
}

export interface Throttle {
  /**
   * Counts an attempt before it is judged, so that parallel guesses cannot slip through. Throws
   * `accounts.too_many_attempts`; a refused attempt counts for nothing and prolongs nothing.
   * `email` is normalized; `ip` clean.
   */
  begin(email: string, ip: string | null): Promise<Attempt>
  /** Makes the network a known one of the account. */
  remember(email: string, ip: string | null, tx: Queryable): Promise<void>
}

/** Progressive delay by account, by network and by both, shared by all replicas. */
export function createThrottle(db: Db, clock: Clock): Throttle {
  const after = (ms: number): Date => new Date(clock.now() + ms)
  return {
    async begin(email, ip) {
      const keys = keysOf(email, ip)
      // Read before locking: whoever hammers costs one indexed read and writes nothing.
      const seen = judge(tallies(await readTallies(db, keys)), clock.now())
      if (seen.waitMs > 0 && !seen.knock) throw refusal(seen.waitMs)
      const { verdict, known } = await db.tx((tx) => count(tx, keys, clock.now()))
      if (verdict.waitMs > 0) throw refusal(verdict.waitMs)
      return {
        known,
        succeeded: (tx) => takeBack(tx, keys, after(0), after(knownForMs), keys[2]),
        cancel: () => db.tx((tx) => takeBack(tx, keys, after(0), after(rowLifeMs))),
      }
    },
    remember: (email, ip, tx) => rememberSuccess(tx, keysOf(email, ip)[2], after(0), after(knownForMs)),
  }
}

async function count(
  tx: Queryable,
  keys: Keys,
  now: number,
): Promise<{ readonly verdict: Verdict; readonly known: boolean }> {
  const at = new Date(now)
  const expiresAt = new Date(now + rowLifeMs)
  const found = tallies(await lockTallies(tx, keys, expiresAt))
  const verdict = judge(found, now)
  const known = found.pair.succeededAt !== null && now - found.pair.succeededAt < knownForMs
  if (verdict.waitMs === 0) {
    const next = [
      remembered(found.account, accountPace, now).failures + 1,
      remembered(found.network, networkPace, now).failures + 1,
      remembered(found.pair, pairPace, now).failures + 1,
    ]
    await writeFailures(tx, keys, next, at, expiresAt)
  } else if (verdict.knock) await writeFailures(tx, [keys[2]], [0], at, expiresAt)
  return { verdict, known }
}

/** Account, network, pair: the order in which rows are locked everywhere. */
type Keys = readonly [account: string, network: string, pair: string]

function keysOf(email: string, ip: string | null): Keys {
  const network = networkOf(ip)
  // Hashed: bounded keys, and no list of addresses that somebody tried. JSON keeps the parts apart.
  const key = (...parts: string[]): string => hash('sha256', JSON.stringify(parts), 'base64url')
  return [key('account', email), key('network', network), key('pair', email, network)]
}

function tallies([account, network, pair]: readonly Tally[]): Tallies {
  return { account: account!, network: network!, pair: pair! }
}

function refusal(waitMs: number): ForgeError<AccountsErrorCode> {
  return accountsErrors.error('accounts.too_many_attempts', { retryAfterMs: waitMs })
}
