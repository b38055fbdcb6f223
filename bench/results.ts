import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Claim } from './statistics.ts'

/** The last full run of one bench. */
export interface BenchResult {
  /** ISO date. */
  readonly date: string
  readonly machine: string
  readonly node: string
  readonly generator: string
  readonly claims: readonly Claim[]
}

export type Results = Readonly<Record<string, BenchResult>>

const file = join(import.meta.dirname, 'results.json')

export function readResults(): Results {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Results
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

/** Keeps the run of one bench beside those of the others. */
export function keepResult(name: string, result: BenchResult): void {
  const all = Object.entries({ ...readResults(), [name]: result }).toSorted(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(all), null, 2)}\n`)
}
