import { createFakeClock } from '../../../../testing/clock.ts'
import type { FakeClock } from '../../../../testing/clock.ts'
import { createEvents } from '../../create-events.ts'
import { defineEvent } from '../../define-event.ts'
import type { EventsDriver } from '../../driver.ts'
import { memory } from '../../drivers/memory.ts'
import type { EventType } from '../../event.ts'
import type { Events } from '../../outbox.ts'
import type { Subscription } from '../../subscription.ts'
import { inMemory } from '../../tests/tx.ts'
import { createDispatcher } from '../create-dispatcher.ts'
import type { Dispatcher, DispatcherSettings } from '../settings.ts'

export interface Numbered {
  readonly n: number
  readonly key?: string
}

export const happened: EventType<Numbered> = defineEvent<Numbered>({ type: 'thing.happened', key: ({ key }) => key })

export interface Lab extends AsyncDisposable {
  readonly clock: FakeClock
  readonly events: Events
  readonly driver: EventsDriver
  emit(...items: readonly (number | readonly [n: number, key: string])[]): Promise<void>
  /** A dispatcher on the same log, running. */
  dispatch(subscriptions: readonly Subscription[], more?: Partial<DispatcherSettings>): Dispatcher
  /** Lets everything that needs no time happen. */
  settle(): Promise<void>
}

/** Events in memory under a clock that stands still. Dispatchers are stopped at the end. */
export function lab(wrap: (driver: EventsDriver) => EventsDriver = (driver) => driver): Lab {
  const clock = createFakeClock()
  const driver = wrap(memory({ clock, db: { tx: inMemory } }))
  const events = createEvents(driver, { clock })
  const dispatchers: Dispatcher[] = []
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await clock.advance(0)
  }
  return {
    clock,
    events,
    driver,
    settle,
    emit: (...items) =>
      inMemory(async (tx) => {
        for (const item of items) {
          const [n, key] = typeof item === 'number' ? [item] : item
          await events.emit(tx, happened, { n, ...(key !== undefined && { key }) })
        }
      }),
    dispatch(subscriptions, more) {
      const dispatcher = createDispatcher({ events, subscriptions, clock, ...more })
      dispatchers.push(dispatcher)
      dispatcher.start()
      return dispatcher
    },
    async [Symbol.asyncDispose]() {
      const stopped = Promise.all(dispatchers.map((each) => each.stop()))
      await Promise.all([stopped, clock.advance(60_000)])
      await events.close()
    },
  }
}
