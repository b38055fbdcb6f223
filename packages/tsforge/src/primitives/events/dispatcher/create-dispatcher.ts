import { AsyncLocalStorage } from 'node:async_hooks'
import { systemClock } from '../../../kernel/clock.ts'
import type { Timer } from '../../../kernel/clock.ts'
import { uuidv7 } from '../../../kernel/ids.ts'
import { silentLog } from '../../../kernel/log.ts'
import { startPeriodic } from '../../../kernel/periodic.ts'
import type { Lease } from '../driver.ts'
import { eventsErrors } from '../errors.ts'
import { eventsSkipped, subscriptionChanged } from '../events.ts'
import type { Subscription } from '../subscription.ts'
import { createLane } from './create-lane.ts'
import type { Lane, LaneParts } from './delivery.ts'
import { Meter } from './meter.ts'
import type { Dispatcher, DispatcherSettings, DispatcherStatus } from './settings.ts'

/** Throws `events.definition_invalid` when two subscriptions have one name, or one cannot work. */
export function createDispatcher(settings: DispatcherSettings): Dispatcher {
  const names = new Set<string>()
  for (const { name, ...rest } of settings.subscriptions) {
    const fault = names.has(name)
      ? 'two subscriptions have this name'
      : 'job' in rest && settings.jobs === undefined
        ? 'it adds jobs, and the dispatcher was given no queue'
        : undefined
    if (fault !== undefined) throw eventsErrors.error('events.definition_invalid', { meta: { name, reason: fault } })
    names.add(name)
  }
  return new Engine(settings)
}

const gaugesMs = 15_000

class Engine implements Dispatcher {
  readonly subscriptions: readonly Subscription[]
  readonly #settings: DispatcherSettings
  readonly #byName: ReadonlyMap<string, Subscription>
  readonly #parts: LaneParts
  readonly #leaseMs: number
  readonly #graceMs: number
  readonly #holder = uuidv7()
  readonly #lanes = new Map<string, Lane>()
  /** Timers and lanes belong to nobody's unit of work. */
  readonly #outside = AsyncLocalStorage.snapshot()
  #state: DispatcherStatus['state'] = 'new'
  #claiming: Promise<void> | undefined
  #claimAgain = false
  #turn: Promise<void> = Promise.resolve()
  #declared = false
  #failing = false
  #left = false
  #renewedAt = 0
  #unwatch: (() => void) | undefined
  #beat: Timer | undefined
  #gauges: (() => Promise<void>) | undefined

  constructor(settings: DispatcherSettings) {
    const { events, subscriptions, clock = systemClock, log = silentLog, metrics, options = {} } = settings
    const { leaseMs = 10_000, graceMs = 10_000, parkedLimit = 10_000 } = options
    this.#settings = settings
    this.subscriptions = subscriptions
    this.#byName = new Map(subscriptions.map((each) => [each.name, each]))
    this.#leaseMs = leaseMs
    this.#graceMs = graceMs
    const meter = new Meter(clock, metrics)
    this.#parts = {
      driver: events.driver,
      clock,
      log,
      meter,
      parkedLimit,
      onLost: (lane) => {
        void this.#lose(lane)
        void this.#claim()
      },
    }
  }

  get status(): DispatcherStatus {
    const lanes = [...this.#lanes.values()]
    return {
      state: this.#state,
      held: [...this.#lanes.keys()],
      running: lanes.reduce((sum, lane) => sum + lane.running, 0),
      failing: this.#failing || lanes.some(({ failing }) => failing),
    }
  }

  start(): void {
    if (this.#state !== 'new') return
    this.#state = 'running'
    if (this.subscriptions.length === 0) return
    this.#outside(() => {
      const { clock, log, meter, driver } = this.#parts
      this.#renewedAt = clock.monotonic()
      this.#unwatch = this.#settings.events.watch(() => this.#news())
      this.#plan()
      void this.#claim()
      if (meter.gauges)
        this.#gauges = startPeriodic(async () => meter.levels(await driver.status()), {
          clock,
          log,
          everyMs: gaugesMs,
          failure: 'the levels of subscriptions cannot be read',
        })
    })
  }

  async drain(signal?: AbortSignal): Promise<void> {
    if (this.#state !== 'running') return
    this.#state = 'draining'
    this.#unwatch?.()
    await this.#claiming
    const { clock } = this.#parts
    const up = Promise.withResolvers<void>()
    const timer = clock.after(this.#graceMs, () => up.resolve())
    if (signal?.aborted === true) up.resolve()
    signal?.addEventListener('abort', () => up.resolve(), { once: true })
    await Promise.race([Promise.all([...this.#lanes.values()].map((lane) => lane.drain())), up.promise])
    timer.cancel()
    await this.#leave()
  }

  async stop(): Promise<void> {
    if (this.#state === 'stopped') return
    const started = this.#state !== 'new'
    this.#state = 'stopped'
    this.#unwatch?.()
    await this.#claiming
    if (started) await this.#leave()
    const sinks = this.subscriptions.flatMap((each) => ('sink' in each ? [each.sink] : []))
    for (const closed of await Promise.allSettled(sinks.map((sink) => sink.close())))
      if (closed.status === 'rejected')
        this.#parts.log.warn({ err: closed.reason as unknown }, 'a sink could not be closed')
  }

  async runUntilIdle(): Promise<void> {
    if (this.#state !== 'new' || this.subscriptions.length === 0) return
    const { driver } = this.#parts
    await this.#outside(async () => {
      this.#renewedAt = this.#parts.clock.monotonic()
      await this.#claim()
      let head: string
      do {
        head = await driver.head()
        for (const lane of this.#lanes.values()) lane.wake()
        while ([...this.#lanes.values()].some((lane) => !lane.idle && !lane.failing))
          await new Promise<void>((resolve) => setImmediate(resolve))
      } while (head !== (await driver.head()))
      await this.#leave()
    })
  }

  /** Lanes end and store what is done; then others may claim. */
  async #leave(): Promise<void> {
    this.#left = true
    this.#beat?.cancel()
    const gauges = this.#gauges?.()
    const lanes = [...this.#lanes.values()]
    this.#lanes.clear()
    await Promise.all(lanes.map((lane) => lane.stop('shutdown')))
    await this.#parts.driver
      .release(lanes.map(({ lease }) => lease))
      .catch((error: unknown) => this.#parts.log.warn({ err: error }, 'subscriptions could not be handed back'))
    for (const { lease } of lanes) changed(lease, 'released')
    await gauges
  }

  #news(): void {
    for (const lane of this.#lanes.values()) lane.wake()
    // Somebody may have handed one back, or moved one of ours.
    void this.#claim()
  }

  #plan(): void {
    const { clock } = this.#parts
    this.#beat = clock.after(this.#leaseMs / 3, () => {
      // Also while draining, which may last longer than a lease.
      void this.#renew().finally(() => !this.#left && this.#plan())
    })
  }

  async #renew(): Promise<void> {
    const { clock, log } = this.#parts
    try {
      await this.#inTurn(() => this.#renewOnce())
    } catch (error) {
      this.#failing = true
      log.warn({ err: error }, 'subscriptions cannot be kept; trying again')
      if (clock.monotonic() - this.#renewedAt > this.#leaseMs)
        for (const lane of [...this.#lanes.values()]) await this.#lose(lane)
    }
    await this.#claim()
  }

  async #renewOnce(): Promise<void> {
    const { driver, clock } = this.#parts
    const began = clock.monotonic()
    const held = await driver.renew(this.#holder, this.#leaseMs)
    this.#renewedAt = began
    this.#failing = false
    const fences = new Map(held.map(({ name, fence }) => [name, fence]))
    for (const lane of [...this.#lanes.values()])
      if (fences.get(lane.lease.name) !== lane.lease.fence) await this.#lose(lane)
    // What was claimed and never heard of would be kept for ever, and handled by nobody.
    const forgotten = held.filter(({ name }) => !this.#lanes.has(name))
    if (forgotten.length > 0 && this.#state === 'running') await driver.release(forgotten)
  }

  /** Renewing says what is ours, and claiming changes it: each sees what the other has done. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    return done
  }

  #claim(): Promise<void> {
    if (this.#claiming !== undefined) this.#claimAgain = true
    else
      this.#claiming = this.#inTurn(() => this.#claimOnce()).finally(() => {
        this.#claiming = undefined
        if (this.#claimAgain && this.#state === 'running') {
          this.#claimAgain = false
          void this.#claim()
        }
      })
    return this.#claiming
  }

  async #claimOnce(): Promise<void> {
    const { driver, log } = this.#parts
    if (this.#state !== 'running' && this.#state !== 'new') return
    let leases: readonly Lease[]
    try {
      if (!this.#declared) {
        await driver.declare(this.subscriptions.map(({ name, from = 'now' }) => ({ name, from })))
        this.#declared = true
      }
      leases = await driver.claim([...this.#byName.keys()], this.#holder, this.#leaseMs)
      this.#failing = false
    } catch (error) {
      this.#failing = true
      log.warn({ err: error }, 'subscriptions cannot be claimed; trying again')
      return
    }
    for (const lease of leases) {
      const old = this.#lanes.get(lease.name)
      if (old !== undefined) await this.#lose(old)
      if (lease.skippedFrom !== undefined) {
        const skipped = { subscription: lease.name, from: lease.skippedFrom, to: lease.cursor }
        log.error(skipped, 'a subscription goes on behind events that are no longer kept')
        eventsSkipped.publish(skipped)
      }
      this.#lanes.set(lease.name, createLane(this.#parts, lease, this.#byName.get(lease.name)!, this.#settings.jobs))
      changed(lease, 'claimed')
    }
  }

  async #lose(lane: Lane): Promise<void> {
    if (this.#lanes.get(lane.lease.name) !== lane) return
    this.#lanes.delete(lane.lease.name)
    changed(lane.lease, 'lost')
    await lane.stop('lost')
  }
}

function changed({ name }: Lease, state: 'claimed' | 'released' | 'lost'): void {
  if (subscriptionChanged.hasSubscribers) subscriptionChanged.publish({ subscription: name, state })
}
