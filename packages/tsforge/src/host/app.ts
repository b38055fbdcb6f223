import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { AppInfo, Port } from '../kernel/plugin.ts'
import type { HttpServer } from '../http/index.ts'
import type { Route } from '../http/route.ts'
import type { Db } from '../primitives/db/index.ts'
import type { Plan } from './plan.ts'

export interface Address {
  /** Base URL without a slash at its end, e.g. `http://127.0.0.1:3000`. */
  readonly url: string
}

/** A composed app. Nothing runs before `start`. */
export interface App {
  readonly info: AppInfo
  readonly plan: Plan
  readonly log: Log
  readonly clock: Clock
  readonly metrics: Metrics
  readonly http: HttpServer
  /** Every route, the host's own first. */
  readonly routes: readonly Route[]
  /** Every service by the name of its part. */
  readonly services: Readonly<Record<string, unknown>>
  /** The app's database. Throws when no part of the app needs one. */
  readonly db: Db
  /** The service behind a port, e.g. `app.get(accountsPort)`. Throws when nothing provides it. */
  get<T>(port: Port<T>): T
  /** Runs migrations and starts every part, without listening: enough for `fetch` and for commands. */
  open(): Promise<void>
  /** Opens the app and starts its workers, without listening. */
  work(): Promise<void>
  /** Opens the app, listens and starts its workers. */
  start(): Promise<Address>
  /** Answers a request without a socket. */
  fetch(request: Request | string, init?: RequestInit): Promise<Response>
  /**
   * Stops gracefully: /readyz says 503, the grace period passes, the listener closes, requests that were
   * accepted finish, every part drains and stops, last started first. Bounded by `FORGE_SHUTDOWN_TIMEOUT`.
   */
  stop(): Promise<void>
  /** Ends the grace period of a stop that is under way. */
  hurry(): void
  /** Writes what the log still holds, synchronously. */
  flush(): void
  [Symbol.asyncDispose](): Promise<void>
}
