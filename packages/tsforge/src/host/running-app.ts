import type { HttpServer } from '../http/index.ts'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { AppInfo, Port } from '../kernel/plugin.ts'
import { dbPort } from '../primitives/db/index.ts'
import type { Db } from '../primitives/db/index.ts'
import type { Telemetry } from '../primitives/telemetry/index.ts'
import type { Address, App } from './app.ts'
import { hostErrors } from './errors.ts'
import { migrateAtStart } from './migrations.ts'
import type { Parts } from './parts.ts'
import type { Plan } from './plan.ts'
import { requestOf, responseOf } from './fetch.ts'

export interface RunningParts {
  readonly plan: Plan
  readonly parts: Parts
  readonly http: HttpServer
  readonly routes: readonly Route[]
  readonly state: { draining: boolean }
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly metrics: Metrics
}

/** Of the time for a shutdown: this much for the parts, what comes before for requests. */
export const partsShare = 0.4

/** The life of an app, from set up to stopped. */
export class RunningApp implements App {
  readonly #parts: RunningParts
  readonly #hurry = new AbortController()
  #opening: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #listening = false

  constructor(parts: RunningParts) {
    this.#parts = parts
  }

  get info(): AppInfo {
    return this.#parts.plan.app
  }
  get plan(): Plan {
    return this.#parts.plan
  }
  get log(): Log {
    return this.#parts.telemetry.log
  }
  get clock(): Clock {
    return this.#parts.clock
  }
  get metrics(): Metrics {
    return this.#parts.metrics
  }
  get http(): HttpServer {
    return this.#parts.http
  }
  get routes(): readonly Route[] {
    return this.#parts.routes
  }
  get services(): Readonly<Record<string, unknown>> {
    return Object.fromEntries([...this.#parts.parts.services].map(([feature, service]) => [feature.name, service]))
  }
  get db(): Db {
    return this.get(dbPort)
  }

  get<T>(port: Port<T>): T {
    for (const [feature, service] of this.#parts.parts.services) {
      if (feature.provides?.name === port.name) return service as T
    }
    throw hostErrors.error('boot.missing_provider', { meta: { name: this.info.name, port: port.name } })
  }

  open(): Promise<void> {
    return (this.#opening ??= this.#open())
  }

  async #open(): Promise<void> {
    const { parts, plan } = this.#parts
    try {
      await parts.start(dbPort.name, async () => {
        if (plan.features.some((feature) => feature.provides?.name === dbPort.name)) await migrateAtStart(this)
      })
    } catch (error) {
      await this.stop().catch(() => undefined)
      throw error
    }
  }

  async start(): Promise<Address> {
    await this.open()
    const { plan, http } = this.#parts
    const { host, port } = plan.http
    try {
      const url = await http.listen({ host, port })
      this.#listening = true
      this.log.info({ url, environment: plan.app.environment }, 'listening')
      await this.#parts.parts.work()
      return { url }
    } catch (error) {
      await this.stop().catch(() => undefined)
      const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
      throw taken ? hostErrors.error('boot.port_taken', { meta: { host, port }, cause: error }) : error
    }
  }

  async work(): Promise<void> {
    await this.open()
    try {
      await this.#parts.parts.work()
    } catch (error) {
      await this.stop().catch(() => undefined)
      throw error
    }
  }

  async fetch(input: Request | string, init?: RequestInit): Promise<Response> {
    return responseOf(await this.#parts.http.inject(await requestOf(input, init)))
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop())
  }

  hurry(): void {
    this.#hurry.abort()
  }

  async #stop(): Promise<void> {
    const { state, plan } = this.#parts
    state.draining = true
    // No load balancer has to notice that jobs are taken no more.
    const resting = this.#parts.parts.rest()
    if (this.#listening) await this.#grace()
    try {
      await this.#closeHttp(plan.host.shutdownTimeoutMs * (1 - partsShare))
      await resting
    } finally {
      // Whatever became of the server, the parts have their turn.
      await this.#stopParts()
    }
  }

  async #stopParts(): Promise<void> {
    const { parts, telemetry } = this.#parts
    try {
      await parts.stop()
      if (this.#listening) this.log.info({}, 'stopped')
    } finally {
      await telemetry.close()
    }
  }

  /** Load balancers need a moment to see that /readyz has changed. */
  async #grace(): Promise<void> {
    const { plan, clock } = this.#parts
    const graceMs = plan.host.drainGraceMs ?? (plan.app.environment === 'production' ? 5000 : 0)
    if (graceMs > 0 && !this.#hurry.signal.aborted)
      await clock.sleep(graceMs, this.#hurry.signal).catch(() => undefined)
  }

  /** Waits for accepted requests; a client that is too slow is cut off and does not make the stop a failure. */
  async #closeHttp(ms: number): Promise<void> {
    const { http, clock } = this.#parts
    const done = new AbortController()
    const closed = http.close().then(() => true)
    const late = clock.sleep(ms, done.signal).then(
      () => false,
      () => true,
    )
    const inTime = await Promise.race([closed, late])
    done.abort()
    if (inTime) return
    this.log.warn({ afterMs: ms }, 'requests were cut off: they outlasted the shutdown')
    http.fastify.server.closeAllConnections()
    await Promise.race([closed, clock.sleep(1000)])
  }

  flush(): void {
    this.#parts.telemetry.sink.flushSync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hurry()
    await this.stop()
  }
}
