import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** A batch was not confirmed as a whole. */
export interface SinkFailureEvent {
  /** Name of the sink. */
  readonly sink: string
  readonly confirmed: number
  readonly unconfirmed: number
  /** For the log; may name hosts, never credentials. */
  readonly error: Error
}

/** `tsforge:sinks:failure`, payload `SinkFailureEvent`. */
export const failureChannel: Channel = channel('tsforge:sinks:failure')
