import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'

/** An operation failed, and not by its caller's fault. */
export interface StorageFailureEvent {
  /** `put`, `get`, `head`, `copy`, `list`, `delete`, `sign`. */
  readonly operation: string
  /** For the log; may name hosts and keys. */
  readonly error: unknown
}

/** `tsforge:storage:failure`, payload `StorageFailureEvent`. */
export const failureChannel: Channel = channel('tsforge:storage:failure')
