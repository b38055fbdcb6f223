import { AsyncLocalStorage } from 'node:async_hooks'
import type { App } from '../host/app.ts'
import { eventHandled, eventsPort } from '../primitives/events/index.ts'
import type { EventHandled, RunningEvents } from '../primitives/events/index.ts'

export interface DrainEventsOptions {
  /** Failing handlers are what the test is about. Default false: `drain` rejects when one has failed. */
  readonly failing?: boolean
}

/** The events of a test app. Nothing is delivered until the test says so. */
export interface TestEvents {
  /**
   * Delivers all that was emitted to all subscriptions, and what their handlers emit, until nothing is left that is due. Jobs that it
   * adds are run by `app.jobs.drain()`. Rejects when a handler has failed, and where the app delivers by itself (`app.work()`).
   */
  drain(options?: DrainEventsOptions): Promise<void>
}

/** What `createTestApp` does with it. */
export interface OwnTestEvents extends TestEvents {
  /** Lets subscriptions begin here, once the app is open. */
  opened(): Promise<void>
}

/** Throws when no part of the app has events. */
export function testEvents(app: App): OwnTestEvents {
  const events = app.get(eventsPort) as RunningEvents
  return {
    async opened() {
      const { subscriptions } = events.worker.dispatcher
      if (subscriptions.length > 0)
        await events.driver.declare(subscriptions.map(({ name, from = 'now' }) => ({ name, from })))
    },
    async drain({ failing = false } = {}) {
      if (events.worker.dispatcher.status.state !== 'new')
        throw new Error('this app delivers events by itself since app.work(), or has stopped')
      const failures: EventHandled[] = []
      const onHandled = (message: unknown): void => {
        const handled = message as EventHandled
        if (draining.getStore() === failures && handled.error !== undefined) failures.push(handled)
      }
      eventHandled.subscribe(onHandled)
      try {
        // A dispatcher works in the context that it was made in: by that its facts are told from those of other apps.
        await draining.run(failures, () => events.worker.another()).runUntilIdle()
      } finally {
        eventHandled.unsubscribe(onHandled)
      }
      const [first] = failures
      if (first !== undefined && !failing) throw failureOf(first, failures.length)
    },
  }
}

const draining = new AsyncLocalStorage<readonly EventHandled[]>()

function failureOf({ subscription, type, id, attempt, error }: EventHandled, count: number): Error {
  const more = count === 1 ? '' : ` (and ${count - 1} more)`
  return new Error(
    `${subscription} failed with ${type} ${id} in attempt ${attempt}${more}: ${error?.name}: ${error?.message}`,
  )
}
