/** How often something may fail, and how the wait grows afterwards. */
export interface Pace {
  /** Failures without any wait. */
  readonly free: number
  /** The first wait; doubles with each further failure. */
  readonly baseMs: number
  readonly capMs: number
  /** Failures are forgotten when nothing happened for this long. */
  readonly memoryMs: number
}

const seconds = 1_000
const minutes = 60 * seconds
const hours = 60 * minutes

/** One account from one network: the ordinary guesser, or somebody who has forgotten. */
export const pairPace: Pace = { free: 10, baseMs: 1 * seconds, capMs: 15 * minutes, memoryMs: 24 * hours }
/** One network against many accounts. */
export const networkPace: Pace = { free: 50, baseMs: 1 * seconds, capMs: 1 * minutes, memoryMs: 1 * hours }
/** Many networks against one account. Short: it is what the owner on a new network has to wait once. */
export const accountPace: Pace = { free: 20, baseMs: 1 * seconds, capMs: 30 * seconds, memoryMs: 1 * hours }

/** A network from which the account's owner has logged in stays known for this long. */
export const knownForMs: number = 90 * 24 * hours
/** Rows without a success live at least as long as their failures count. */
export const rowLifeMs: number = pairPace.memoryMs

/** What is known about one key. Milliseconds since the epoch. */
export interface Tally {
  readonly failures: number
  readonly lastAt: number | null
  readonly succeededAt: number | null
}

export const blank: Tally = { failures: 0, lastAt: null, succeededAt: null }

/** A tally without what has been forgotten by `now`. */
export function remembered(tally: Tally, pace: Pace, now: number): Tally {
  return tally.lastAt === null || now - tally.lastAt >= pace.memoryMs ? { ...tally, failures: 0, lastAt: null } : tally
}

/** The wait after `failures`. */
export function waitAfter(failures: number, pace: Pace): number {
  if (failures < pace.free) return 0
  return Math.min(pace.capMs, pace.baseMs * 2 ** Math.min(failures - pace.free, 30))
}

export interface Tallies {
  readonly account: Tally
  readonly network: Tally
  readonly pair: Tally
}

/**
 * Milliseconds until the next attempt may be made; 0 for now. `knock` asks to note the time of a refused first
 * attempt, from which a stranger's wait is counted.
 */
export interface Verdict {
  readonly waitMs: number
  readonly knock: boolean
}

/**
 * Judges an attempt. Where the owner has logged in before, only failures of that very pair count, so that an
 * attack from elsewhere never reaches him. Everybody else also waits for his network; and while the account is
 * under attack, each stranger serves a wait of his own, so that no attacker can use up the owner's turn.
 */
export function judge({ account, network, pair }: Tallies, now: number): Verdict {
  const own = remembered(pair, pairPace, now)
  const ownWait = left(own.lastAt, waitAfter(own.failures, pairPace), now)
  if (own.succeededAt !== null && now - own.succeededAt < knownForMs) return { waitMs: ownWait, knock: false }
  const around = remembered(network, networkPace, now)
  const networkWait = left(around.lastAt, waitAfter(around.failures, networkPace), now)
  const heat = waitAfter(remembered(account, accountPace, now).failures, accountPace)
  const knock = heat > 0 && own.lastAt === null
  const heatWait = knock ? heat : left(own.lastAt, heat, now)
  return { waitMs: Math.max(ownWait, networkWait, heatWait), knock: knock && networkWait === 0 }
}

function left(since: number | null, waitMs: number, now: number): number {
  // Bounded by the wait itself, also when the clock of another replica is ahead.
  return since === null ? 0 : Math.min(waitMs, Math.max(0, since + waitMs - now))
}
