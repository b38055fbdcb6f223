import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** A statement (or a pipeline of them) has been answered. Never carries values. */
export interface DbQueryEvent {
  /** Where it ran. */
  readonly target: 'primary' | 'replica'
  /** The text with its placeholders; of a pipeline, its statements joined by `; `. */
  readonly text: string
  readonly durationMs: number
  readonly rowCount: number | null
  /** Error code of the catalogue, or `undefined` when it succeeded. */
  readonly error: string | undefined
}

/** A transaction has ended, or is about to run again. */
export interface DbTxEvent {
  readonly outcome: 'committed' | 'rolled_back' | 'retried' | 'unknown'
  /** 1 for the first attempt. */
  readonly attempt: number
  readonly durationMs: number
}

/** Something happened to a connection outside of any statement. */
export interface DbConnectionEvent {
  readonly kind:
    | 'lost'
    | 'pool_renewed'
    | 'listener_lost'
    | 'listener_restored'
    | 'replica_healthy'
    | 'replica_unhealthy'
    | 'server_restarted'
  /** For the log; may name hosts. */
  readonly cause?: unknown
}

/** `tsforge:db:query`, payload `DbQueryEvent`. */
export const queryChannel: Channel = channel('tsforge:db:query')
/** `tsforge:db:tx`, payload `DbTxEvent`. */
export const txChannel: Channel = channel('tsforge:db:tx')
/** `tsforge:db:connection`, payload `DbConnectionEvent`. */
export const connectionChannel: Channel = channel('tsforge:db:connection')

export function tellConnection(event: DbConnectionEvent): void {
  if (connectionChannel.hasSubscribers) connectionChannel.publish(event)
}
