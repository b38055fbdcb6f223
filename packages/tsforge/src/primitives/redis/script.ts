import { createHash } from 'node:crypto'

/** A Lua script. Redis knows it by its hash after the first use. */
export interface Script {
  /** For error messages and metrics. */
  readonly name: string
  readonly source: string
  /** SHA-1 of the source in hex, as Redis computes it. */
  readonly sha: string
  /** How many of the arguments are keys (KEYS in the script). */
  readonly keys: number
}

/** Declares a script; nothing is sent. */
export function defineScript(name: string, keys: number, source: string): Script {
  return { name, source, keys, sha: createHash('sha1').update(source).digest('hex') }
}
