import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/**
 * Why a stream ended. `client`: the caller went away. `slow`: it did not read fast enough. `ended`: its credential, session,
 * membership or permission did. `unverified`: that could not be known. `drain`: this process stops. `failed`: ours.
 */
export type CloseReason = 'client' | 'slow' | 'ended' | 'unverified' | 'drain' | 'failed'

export interface StreamOpened {
  readonly userId: string | null
  readonly tenantId: string | null
  readonly topics: readonly string[]
  /** The caller has come back with the id of an event. */
  readonly resumed: boolean
}

export interface StreamClosed {
  readonly userId: string | null
  readonly tenantId: string | null
  readonly reason: CloseReason
  readonly durationMs: number
  /** Sent on it. */
  readonly events: number
}

/** `tsforge:realtime:opened`, payload `StreamOpened`. */
export const streamOpened: Channel<unknown, StreamOpened> = channel('tsforge:realtime:opened') as Channel<
  unknown,
  StreamOpened
>
/** `tsforge:realtime:closed`, payload `StreamClosed`. */
export const streamClosed: Channel<unknown, StreamClosed> = channel('tsforge:realtime:closed') as Channel<
  unknown,
  StreamClosed
>
