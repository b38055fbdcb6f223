import { createHash } from 'node:crypto'
import type { Awaitable } from './driver.ts'
import type { LoadOptions } from './policy.ts'

export interface RememberOptions<A extends readonly unknown[]> extends LoadOptions {
  /** The key of a call. Default: the arguments as JSON, hashed when they are long. */
  readonly key?: (...args: A) => string
}

/** A function whose results are kept. */
export interface Remembered<A extends readonly unknown[], T> {
  (...args: A): Awaitable<T>
  /** Drops the result for these arguments; whether there was one. */
  forget(...args: A): Promise<boolean>
}

const longest = 256

/** The key of a call of `name`. */
export function keyOfCall(name: string, args: readonly unknown[]): string {
  const text = JSON.stringify(args)
  return `${name}:${text.length <= longest ? text : createHash('sha256').update(text).digest('base64url')}`
}
