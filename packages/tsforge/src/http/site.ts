import type { IncomingMessage } from 'node:http'
import type { Clock } from '../kernel/clock.ts'
import type { ErrorCatalogue } from '../kernel/errors.ts'
import type { I18n } from '../kernel/i18n.ts'
import type { LineSink, Log } from '../kernel/log.ts'
import type { Metrics } from '../kernel/metrics.ts'
import type { AppInfo } from '../kernel/plugin.ts'
import type { TrustedProxies } from './client-address.ts'
import type { Cors } from './cors.ts'
import type { Deadlines } from './deadlines.ts'
import type {
  AroundSpec,
  Authenticator,
  Authorizer,
  GateSpec,
  PermissionSpec,
  Recheck,
  SecurityScheme,
  TenantGate,
} from './feature.ts'
import type { Meters } from './meters.ts'
import type { LiveSource } from './live.ts'
import type { HttpOptions } from './options.ts'
import type { Pressure } from './pressure.ts'
import type { ProxyWatch } from './proxy-watch.ts'
import type { Route } from './route.ts'
import type { HeaderList } from './security-headers.ts'

/** One way to sign in, with its words for the OpenAPI document. */
export interface NamedAuthenticator {
  readonly name: string
  readonly scheme: SecurityScheme
  readonly authenticate: Authenticator
  /** Default: all routes. */
  readonly serves?: (route: Route) => boolean
  readonly recheck?: Recheck
}

/** Everything that `createHttp` is told. */
export interface HttpSettings {
  readonly app: AppInfo
  readonly options: HttpOptions
  readonly log: Log
  /** Receives the access lines. */
  readonly sink: LineSink
  readonly clock: Clock
  readonly metrics: Metrics
  /** Asked in this order. */
  readonly authenticators?: readonly NamedAuthenticator[]
  readonly tenantGate?: TenantGate | undefined
  readonly authorizer?: Authorizer | undefined
  /** Asked in this order. */
  readonly gates?: readonly GateSpec[]
  readonly around?: AroundSpec | undefined
  /** Declared permission codes; a route that asks for another one stops the boot. */
  readonly permissions?: Readonly<Record<string, PermissionSpec>>
  /** Catalogues of all modules; a route may answer their codes alone. The pipeline's own is always there. */
  readonly catalogues?: readonly ErrorCatalogue[]
  /** Languages of error messages. Default: English and Indonesian. */
  readonly i18n?: I18n
  /** True while the app is stopping: answers then ask the caller to close the connection. */
  readonly isDraining?: () => boolean
}

/** What all requests of a server share. */
export interface Site {
  readonly app: AppInfo
  readonly options: HttpOptions
  readonly log: Log
  readonly sink: LineSink
  readonly clock: Clock
  readonly cors: Cors
  readonly trusted: TrustedProxies
  readonly proxies: ProxyWatch
  readonly pressure: Pressure
  readonly deadlines: Deadlines
  readonly meters: Meters
  readonly authenticators: readonly NamedAuthenticator[]
  readonly tenantGate: TenantGate | undefined
  readonly authorizer: Authorizer | undefined
  readonly gates: readonly GateSpec[]
  readonly around: AroundSpec | undefined
  /** Value of WWW-Authenticate. */
  readonly challenge: string
  readonly i18n: I18n
  readonly defaultLocale: string
  /** Security headers of the API. */
  readonly security: HeaderList
  /** A caller who takes no byte of an answer for so long does not read. */
  readonly silenceMs: number
  /** Answers that are under way until somebody ends them. */
  readonly live: Set<LiveSource>
  draining(): boolean
  /** Called before the headers of a body are acted on, when the caller waits for `100 Continue`. */
  wantsContinue(req: IncomingMessage): boolean
}
