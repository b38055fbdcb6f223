/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** One line of `--json`: how we compare with the rival that the last part names. */
export interface Claim {
  readonly claim: string
  /** Median of the ratios of the rounds. */
  readonly ratio: number
  readonly min: number
  readonly max: number
  readonly rounds: number
}

/** Compares round by round: both values of a round were measured within seconds of each other. */
export function claim(name: string, ours: readonly number[], rival: readonly number[]): Claim {
  const ratios = ours.map((value, round) => value / rival[round]!)
  if (ratios.length === 0 || !ratios.every(Number.isFinite)) throw new Error(`${name}: a round has no result`)
  const rounded = (value: number): number => Number(value.toPrecision(3))
  return {
    claim: name,
    ratio: rounded(median(ratios)),
    min: rounded(Math.min(...ratios)),
    max: rounded(Math.max(...ratios)),
    rounds: ratios.length,
  }
}
