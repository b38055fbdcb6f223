import type { Claim } from './statistics.ts'

/** How long and how often a bench measures. */
export interface Settings {
  readonly rounds: number
  /** Of one round of one server. */
  readonly seconds: number
  /** How many disturbed measurements may be repeated. */
  readonly repetitions: number
  /** Requests before memory is looked at. */
  readonly memoryRequests: number
  /** What makes the load, in words. */
  readonly generator: string
  /** Tells how it goes; not part of the result. */
  note(sentence: string): void
}

/** What a claim must reach. */
export type Bar = { readonly atLeast: number } | { readonly atMost: number }

export interface Bench {
  readonly bars: Readonly<Record<string, Bar>>
  run(settings: Settings): Promise<Claim[]>
}

/** Whether the claim reaches its bar. */
export function reaches(ratio: number, bar: Bar): boolean {
  return 'atLeast' in bar ? ratio >= bar.atLeast : ratio <= bar.atMost
}

/** `≥ 0.52`. */
export function barText(bar: Bar): string {
  return 'atLeast' in bar ? `≥ ${bar.atLeast}` : `≤ ${bar.atMost}`
}
