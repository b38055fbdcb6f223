import type { EventLog, RealtimeDriver } from '../driver.ts'

/** The log itself: in memory or in PostgreSQL, as the events of the app are. */
export function log(events: EventLog): RealtimeDriver {
  return {
    name: 'log',
    read: (options) => events.read(options),
    head: () => events.head(),
    watch: (listener) => events.watch(listener),
    start: async () => {},
    close: async () => {},
  }
}
