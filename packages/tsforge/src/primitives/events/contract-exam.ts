import { uuidv7 } from '../../kernel/ids.ts'
import type { EventsDriver, LoggedEvent, NewEvent, Park, Position, ReadRequest, Tx } from './driver.ts'

/** A driver on an empty log. */
export interface EventsLab {
  readonly driver: EventsDriver
  /** Runs the work in a transaction that events can be emitted in. */
  tx<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** Lets `ms` pass for the store. */
  pass(ms: number): Promise<void>
  /** Empties the store. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** So long that nothing runs out, and nothing comes due, by itself while a busy machine stands still. */
export const leaseMs: number = 600_000

export function eventOf(values: Partial<NewEvent> = {}): NewEvent {
  return {
    id: uuidv7(),
    type: 'thing.done',
    version: 1,
    source: '/test',
    data: '{}',
    subject: undefined,
    key: undefined,
    tenantId: undefined,
    actor: undefined,
    trace: undefined,
    ...values,
  }
}

export const numbered = (n: number, values: Partial<NewEvent> = {}): NewEvent =>
  eventOf({ data: `{"n":${n}}`, ...values })
export const numberOf = ({ data }: LoggedEvent): number => (data as { n: number }).n
export const parkOf = (event: LoggedEvent, values: Partial<Park> = {}): Park => ({
  event,
  attempt: 1,
  delayMs: 60_000,
  dead: false,
  ...values,
})

/** What the questions of the contract are asked with. The lab is there once the suite runs. */
export class Exam {
  #lab: EventsLab | undefined

  get lab(): EventsLab {
    return this.#lab!
  }
  set lab(lab: EventsLab) {
    this.#lab = lab
  }
  get driver(): EventsDriver {
    return this.lab.driver
  }

  emit(...events: readonly NewEvent[]): Promise<void> {
    return this.lab.tx((tx) => this.driver.append(events, tx))
  }

  /** Everything behind a position. */
  async all(after?: Position, request: Partial<ReadRequest> = {}): Promise<LoggedEvent[]> {
    const events: LoggedEvent[] = []
    for (let next = after; ;) {
      const page = await this.driver.read({ after: next, limit: 100, ...request })
      events.push(...page.events)
      if (page.end) return events
      next = page.next
    }
  }
}
