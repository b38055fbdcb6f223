import type { Clock } from '../../../kernel/clock.ts'
import type { HistogramSeries, Metrics } from '../../../kernel/metrics.ts'
import type { EventFault, LoggedEvent, SubscriptionStatus } from '../driver.ts'
import { eventHandled } from '../events.ts'
import type { EventHandled } from '../events.ts'

type Outcome = EventHandled['outcome']
const outcomes: readonly Outcome[] = ['done', 'parked', 'dead', 'dropped']
const buckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 3600]

interface Counts {
  readonly by: Record<Outcome, number>
  readonly delay: HistogramSeries | undefined
  readonly run: HistogramSeries | undefined
}

/** Metrics and diagnostics channels of a dispatcher. */
export class Meter {
  readonly #clock: Clock
  readonly #handled
  readonly #delays
  readonly #runs
  readonly #gauges
  readonly #counts = new Map<string, Counts>()

  constructor(clock: Clock, metrics: Metrics | undefined) {
    this.#clock = clock
    const labelNames = ['subscription']
    const gauge = (name: string, help: string) => metrics?.gauge(name, { help, labelNames })
    this.#handled = metrics?.counter('forge_events_handled_total', {
      help: 'Deliveries of events by how they ended',
      labelNames: ['subscription', 'outcome'],
    })
    const histogram = (name: string, help: string) => metrics?.histogram(name, { help, labelNames, buckets })
    this.#delays = histogram('forge_events_delay_seconds', 'From when an event was emitted to its first delivery')
    this.#runs = histogram('forge_events_run_seconds', 'How long handlers of events take')
    this.#gauges = {
      lag: gauge('forge_events_lag', 'Events behind the place of each subscription, of all kinds, at most 100,000'),
      age: gauge('forge_events_lag_seconds', 'Age of the oldest event that a subscription has not had'),
      parked: gauge('forge_events_parked', 'Events that wait for their next attempt, and those behind them'),
      dead: gauge('forge_events_dead', 'Dead events'),
    }
  }

  /** Whether anybody would see `levels`. */
  get gauges(): boolean {
    return this.#gauges.lag !== undefined
  }

  started(subscription: string, event: LoggedEvent): void {
    const { delay } = this.#of(subscription)
    // The two clocks may differ.
    delay?.observe(Math.max(0, this.#clock.now() - Date.parse(event.time)) / 1000)
  }

  handled(
    subscription: string,
    { id, type }: LoggedEvent,
    attempt: number,
    outcome: Outcome,
    runMs: number,
    error?: EventFault,
  ): void {
    const counts = this.#of(subscription)
    counts.by[outcome]++
    counts.run?.observe(runMs / 1000)
    if (eventHandled.hasSubscribers)
      eventHandled.publish({ subscription, id, type, attempt, outcome, runMs, ...(error !== undefined && { error }) })
  }

  levels(all: readonly SubscriptionStatus[]): void {
    for (const { name, lag, lagMs, waiting, dead } of all) {
      const labels = { subscription: name }
      this.#gauges.lag?.set(lag, labels)
      this.#gauges.age?.set(lagMs / 1000, labels)
      this.#gauges.parked?.set(waiting, labels)
      this.#gauges.dead?.set(dead, labels)
    }
  }

  #of(subscription: string): Counts {
    let counts = this.#counts.get(subscription)
    if (counts === undefined) {
      const by: Record<Outcome, number> = { done: 0, parked: 0, dead: 0, dropped: 0 }
      for (const outcome of outcomes) this.#handled?.collect({ subscription, outcome }, () => by[outcome])
      const labels = { subscription }
      counts = { by, delay: this.#delays?.labels(labels), run: this.#runs?.labels(labels) }
      this.#counts.set(subscription, counts)
    }
    return counts
  }
}
