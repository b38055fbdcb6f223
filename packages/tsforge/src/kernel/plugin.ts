import type { Clock } from './clock.ts'
import type { ErrorCatalogue, Localized } from './errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { OptionsSchema } from './options.ts'
import type { Secrets } from './secrets.ts'

declare const provided: unique symbol

/** A typed name for what one plugin provides and others need. */
export interface Port<T> {
  readonly name: string
  /** Brings the plugin that provides the port when an app lists none; imported only then. */
  readonly standard: (() => Promise<Plugin>) | undefined
  readonly [provided]?: T
}

/** Names a service, e.g. `port<Db>('db')`. */
export function port<T>(name: string, standard?: () => Promise<Plugin>): Port<T> {
  return { name, standard }
}

export type Ports = Readonly<Record<string, Port<unknown>>>
export type Provided<P> = P extends Port<infer T> ? T : never
/** What `setup` receives for its `needs`. */
export type Wired<Needs extends Ports> = { readonly [K in keyof Needs]: Provided<Needs[K]> }

/** What every plugin gets from the host, besides its needs. */
export interface Toolbox<Options> {
  readonly options: Options
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly secrets: Secrets
  readonly app: AppInfo
  /** Every permission that the parts of the app declare, by its code. */
  readonly permissions: Readonly<Record<string, PermissionSpec>>
}

export interface PermissionSpec {
  readonly description: string | Localized
  /** Whether the default authorizer grants it to plain members (reading) or to owners only. Default `owner`. */
  readonly grantedTo?: 'owner' | 'member'
}

export interface AppInfo {
  readonly name: string
  readonly version: string
  readonly environment: 'development' | 'test' | 'production'
  /** Absolute folder of the app; `.forge/` lies in it. */
  readonly root: string
}

/** A folder of `NNNN_name.up.sql` / `NNNN_name.down.sql` files. */
export interface MigrationSource {
  /** Ledger namespace; the plugin's name. */
  readonly module: string
  /** Absolute path or `file:` URL. */
  readonly directory: string | URL
  /** Modules whose migrations must run before. */
  readonly after?: readonly string[]
}

/** State of one part for `/readyz`. */
export interface Health {
  readonly ok: boolean
  /** A short public word or two; never an error text. */
  readonly detail?: string
}

/** A kind of job and what runs it; `handle` of tsforge/jobs makes one. */
export interface JobDeclaration {
  readonly job: { readonly kind: string }
  readonly run: (call: never) => unknown
}

/** When which job runs; `defineSchedule` of tsforge/jobs makes one. */
export interface ScheduleDeclaration {
  readonly name: string
  readonly kind: string
}

/** Which events go where; `subscribe` of tsforge/events and alike make one. */
export interface SubscriptionDeclaration {
  readonly name: string
}

/** What streams to callers tell of; `defineTopic` of tsforge/realtime makes one. */
export interface TopicDeclaration {
  readonly name: string
  readonly audience: 'tenant' | 'user'
  readonly types: readonly string[]
}

/** What all parts of an app want to have run for them. */
export interface Declarations {
  readonly jobs: readonly JobDeclaration[]
  readonly schedules: readonly ScheduleDeclaration[]
  readonly subscriptions: readonly SubscriptionDeclaration[]
  readonly topics: readonly TopicDeclaration[]
}

/**
 * What works on behalf of other parts. It starts after all of them and only where the app serves or works, not where
 * a command or a test opens it; and it has ended before any of them drains.
 */
export interface AppWorker<Service> {
  /** Called once, when all services exist. Throws when something is wrong with what the parts declare. */
  declare(service: Service, declared: Declarations): void
  start(service: Service, signal: AbortSignal): void | Promise<void>
  /** Take no new work and finish what is held; bounded by the signal. */
  drain(service: Service, signal: AbortSignal): void | Promise<void>
  /** Give up what is still held. */
  stop(service: Service): void | Promise<void>
}

/**
 * One part of an app, primitive or feature. The host orders plugins by `needs`, calls `setup` in that
 * order, `start` in that order, and `drain` then `stop` in reverse.
 */
export interface Plugin<Options = unknown, Needs extends Ports = Ports, Service = unknown> {
  readonly name: string
  readonly options?: OptionsSchema<Options>
  readonly needs?: Needs
  readonly provides?: Port<Service>
  readonly errors?: ErrorCatalogue
  readonly migrations?: MigrationSource
  /** Builds the service. May connect; must not listen or start loops. */
  setup(parts: Wired<Needs> & Toolbox<Options>): Service | Promise<Service>
  /** Starts loops. All services exist and migrations have run. The signal is aborted when the app is to stop meanwhile. */
  start?(service: Service, signal: AbortSignal): void | Promise<void>
  /** Stop taking new work and finish what is held; bounded by the signal. */
  drain?(service: Service, signal: AbortSignal): void | Promise<void>
  /** Release everything. */
  stop?(service: Service): void | Promise<void>
  /** Jobs that this part runs. Who declares some gets the standard queue when the app lists none. */
  jobs?(service: Service): readonly JobDeclaration[]
  schedules?(service: Service): readonly ScheduleDeclaration[]
  /** Events that this part wants to have. Who declares some gets the standard log when the app lists none. */
  subscriptions?(service: Service): readonly SubscriptionDeclaration[]
  /** What callers can follow as it happens. Who declares some gets the standard streams when the app lists none. */
  topics?(service: Service): readonly TopicDeclaration[]
  readonly worker?: AppWorker<Service>
  /** Asked by `/readyz`. */
  health?(service: Service, signal: AbortSignal): Promise<Health>
}
