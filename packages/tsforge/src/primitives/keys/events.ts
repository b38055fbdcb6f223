import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** A key pair was made and is published as `next` (or, on the very first start, as `active`). */
export interface KeyCreated {
  readonly kid: string
  readonly algorithm: string
}

/** Published after the commit. `retired` has stopped signing, `active` signs from now on, `next` is published for the time after. */
export interface KeyRotated {
  readonly retired: string
  readonly active: string
  readonly next: string
}

export const keyCreated: Channel<unknown, KeyCreated> = channel('key.created') as Channel<unknown, KeyCreated>
export const keyRotated: Channel<unknown, KeyRotated> = channel('key.rotated') as Channel<unknown, KeyRotated>
