import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { EventFault, Position } from './driver.ts'

/** Events were emitted in one commit. Those of a caller's transaction are told of when it has committed. */
export interface EventsEmitted {
  readonly type: string
  readonly count: number
}

interface EventFact {
  readonly subscription: string
  readonly id: string
  readonly type: string
}

/** One run of a handler has ended. */
export interface EventHandled extends EventFact {
  readonly attempt: number
  /** `parked`: it failed and waits for its next attempt. `dropped`: the lease was lost or the process ends. */
  readonly outcome: 'done' | 'parked' | 'dead' | 'dropped'
  readonly runMs: number
  readonly error?: EventFault | undefined
}

/** A process has begun or ended to handle a subscription. */
export interface SubscriptionChanged {
  readonly subscription: string
  readonly state: 'claimed' | 'released' | 'lost'
}

/** Retention has removed events that a subscription had not had. */
export interface EventsSkipped {
  readonly subscription: string
  readonly from: Position
  readonly to: Position
}

function named<Message>(name: string): Channel<unknown, Message> {
  return channel(name) as Channel<unknown, Message>
}

export const eventsEmitted: Channel<unknown, EventsEmitted> = named('event.emitted')
export const eventHandled: Channel<unknown, EventHandled> = named('event.handled')
export const eventsSkipped: Channel<unknown, EventsSkipped> = named('event.skipped')
export const subscriptionChanged: Channel<unknown, SubscriptionChanged> = named('event.subscription_changed')
