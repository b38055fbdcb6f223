import { placeOf, positionOf } from '../../driver.ts'
import type { Position } from '../../driver.ts'

/** Names of keys; one hash tag, so that they stay together in a cluster. */
export interface Names {
  readonly stream: string
  readonly lock: string
  readonly channel: string
}

export function namesOf(keyPrefix: string): Names {
  const name = (what: string): string => `${keyPrefix}{forge:realtime}:${what}`
  return { stream: name('events'), lock: name('lock'), channel: name('news') }
}

/** Ids of entries are positions without leading zeros. */
export function idOf(position: Position): string {
  const { window, seq } = placeOf(position)!
  return `${window}-${seq}`
}

export function positionOfId(id: string): Position {
  const [window, seq] = id.split('-')
  return positionOf({ window: Number(window), seq: Number(seq) })
}
