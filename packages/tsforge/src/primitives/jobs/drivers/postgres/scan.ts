import type { Row } from './encode.ts'

const busyFullMs = 250
const idleFullMs = 1000
/** A full scan may take this part of a worker's time, also where a held snapshot makes it slow. */
const fullShare = 20
const longestFullMs = 5000
/** Jobs of transactions that commit late lie behind the mark; this much is looked at again when there is time. */
const slackUs = 1_000_000
const lanes = 5
/** One claim in so many serves the level that has waited longest. */
const agedEvery = 8

/** What a claim starts from. */
export interface Start {
  readonly full: boolean
  readonly aged: boolean
  readonly marksUs: readonly number[]
  readonly markIds: readonly number[]
  readonly low: string
}

/**
 * Where a worker's claims of one queue have come to. Claims start there, so that they never walk over index entries of
 * jobs that are gone but cannot be vacuumed yet; now and then one starts at the beginning, for what came in behind.
 */
export class Scan {
  readonly #us: number[] = new Array<number>(lanes).fill(0)
  readonly #ids: number[] = new Array<number>(lanes).fill(0)
  #low = '0'
  #short = true
  #fullAt = Number.NEGATIVE_INFINITY
  #fullEveryMs = 0
  #count = 0

  begin(now: number): Start {
    const full = now - this.#fullAt >= Math.max(this.#short ? idleFullMs : busyFullMs, this.#fullEveryMs)
    if (full) this.#fullAt = now
    const aged = ++this.#count % agedEvery === 0
    if (full) return { full, aged, marksUs: zeros, markIds: zeros, low: this.#low }
    return this.#short
      ? { full, aged, marksUs: this.#us.map((us) => Math.max(0, us - slackUs)), markIds: zeros, low: this.#low }
      : { full, aged, marksUs: [...this.#us], markIds: [...this.#ids], low: this.#low }
  }

  /** `low` of an answer to a full scan; `rows` in the order of the claim. */
  end(start: Start, rows: readonly Row[], want: number, low: string | undefined, tookMs: number): void {
    this.#short = rows.length < want
    if (start.full) this.#fullEveryMs = Math.min(tookMs * fullShare, longestFullMs)
    if (low !== undefined && BigInt(low) > BigInt(this.#low)) this.#low = low
    for (let i = rows.length - 1, last = -1; i >= 0; i--) {
      const [id, , , , lane, us] = rows[i]!
      if (lane === last) continue
      last = lane
      if (lane < 1 || lane >= lanes) continue
      if (us > this.#us[lane]! || (us === this.#us[lane] && id > this.#ids[lane]!)) {
        this.#us[lane] = us
        this.#ids[lane] = id
      }
    }
  }

  /** After a failure nothing is known. */
  forget(): void {
    this.#fullAt = Number.NEGATIVE_INFINITY
  }
}

const zeros: readonly number[] = new Array<number>(lanes).fill(0)
