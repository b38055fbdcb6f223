import type { Terminal } from './terminal.ts'

export interface Flag {
  readonly type: 'string' | 'boolean'
  /** Shown behind the name, e.g. `<number>`. */
  readonly value?: string
  readonly short?: string
  readonly doc: string
}

/** A word that wants more words behind it, e.g. `<kid>`, or may have them, e.g. `[name]`. */
export interface Word {
  readonly doc: string
  readonly takes: readonly string[]
}

/** What the user asked for, checked. */
export interface Invocation {
  /** Words after the command, e.g. `up` in `forge migrate up`. */
  readonly words: readonly string[]
  readonly flags: Readonly<Record<string, string | boolean | undefined>>
  /** Absolute folder of the app. */
  readonly cwd: string
  readonly terminal: Terminal
}

/** One verb of the CLI. Its module is imported when the verb is used. */
export interface Command {
  /** What may follow the name, e.g. `[up|down|status|drift]`. */
  readonly usage: string
  /** The words that may come first; absent when the command takes none. */
  readonly words?: Readonly<Record<string, string | Word>>
  readonly flags: Readonly<Record<string, Flag>>
  readonly examples: readonly string[]
  /** Returns the exit code; 0 when nothing is returned. */
  run(call: Invocation): Promise<number | void>
}

/** The user's mistake: shown with a hint, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
