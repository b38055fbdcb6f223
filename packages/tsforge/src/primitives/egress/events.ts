import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** A call was refused before a byte was sent. */
export interface EgressRefused {
  readonly code: string
  readonly host: string
}

/** `tsforge:egress:refused`, payload `EgressRefused`: somebody asked for a place that is not to be called. */
export const egressRefusedChannel: Channel = channel('tsforge:egress:refused')
