import { afterEach } from 'vitest'
import { silentLog } from '../../../kernel/log.ts'
import { createMetrics } from '../../../kernel/metrics.ts'
import type { Actor } from '../../../kernel/context.ts'
import { createHttp, httpOptions } from '../../../http/index.ts'
import type { GateSpec, HttpOptions, HttpServer, NamedAuthenticator, Route } from '../../../http/index.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import { ratelimitErrors } from '../errors.ts'
import { ratelimitOptions } from '../options.ts'
import type { RatelimitOptions } from '../options.ts'
import { ratelimit } from '../plugin.ts'
import type { RatelimitFeature } from '../plugin.ts'
import type { LimitPlans } from '../policies.ts'

export interface Lab {
  readonly http: HttpServer
  readonly clock: FakeClock
  readonly warned: string[]
  metrics(): string
}

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

const defaultsOf = <T>(schema: object): T =>
  Object.fromEntries(
    Object.entries(schema).map(([key, field]) => [key, (field as { defaultValue: unknown }).defaultValue]),
  ) as T

/** `Bearer <kind>.<id>.<tenant>`. */
const bearer: NamedAuthenticator = {
  name: 'bearer',
  scheme: { type: 'http', scheme: 'bearer' },
  authenticate: ({ authorization }) => {
    const [kind, id, tenantId] = authorization?.value.split('.') ?? []
    return id === undefined
      ? undefined
      : ({ kind: kind as Actor['kind'], id, ...(tenantId !== undefined && { tenantId }) } as Actor)
  },
}

/** Routes behind the real pipeline and the real feature, on a clock that moves when told. */
export async function lab(
  routes: readonly Route[],
  given: RatelimitFeature = {},
  {
    options = {},
    http: httpSettings = {},
    plans,
  }: { options?: Partial<RatelimitOptions>; http?: Partial<HttpOptions>; plans?: LimitPlans } = {},
): Promise<Lab> {
  const clock = createFakeClock()
  const metrics = createMetrics()
  const warned: string[] = []
  const log = { ...silentLog, warn: (_fields: object, message: string) => void warned.push(message) }
  const feature = ratelimit(given)
  const app = { name: 'lab', version: '1.0.0', environment: 'test', root: '/' } as const
  const service = (await feature.setup({
    options: { ...defaultsOf<RatelimitOptions>(ratelimitOptions), ...options },
    clock,
    log,
    metrics,
    app,
    db: undefined,
    redis: undefined,
    plans,
  } as never)) as { close(): Promise<void> }
  const http = await createHttp(
    {
      app,
      log,
      sink: { write: () => {}, flushSync: () => {} },
      clock,
      metrics,
      authenticators: [bearer],
      gates: feature.gates!(service) as readonly GateSpec[],
      catalogues: [ratelimitErrors],
      options: { ...defaultsOf<HttpOptions>(httpOptions), ...httpSettings },
    },
    routes,
  )
  open.push(http, service)
  return { http, clock, warned, metrics: () => metrics.render() }
}
