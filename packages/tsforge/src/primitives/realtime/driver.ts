import type { Events, LoggedEvent, Position, ReadOptions, ReadResult } from '../events/index.ts'

export type { LoggedEvent, Position, ReadOptions, ReadResult }
export { matching, placeOf, positionOf } from '../events/index.ts'

/** The log of events as it is. Every promise of `Events.read`, `head` and `watch` holds. */
export type EventLog = Pick<Events, 'read' | 'head' | 'watch'>

/**
 * Where a process reads the events that it passes on: the log itself, or a copy of it. `read` gives what the log would
 * give, in its order and without gaps: a copy that does not have it asks the log. It may lag behind `head`, never skip.
 */
export interface RealtimeDriver extends EventLog {
  readonly name: string
  start(): Promise<void>
  close(): Promise<void>
}
