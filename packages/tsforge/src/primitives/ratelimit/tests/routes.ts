import { setImmediate as turn } from 'node:timers/promises'
import { afterEach } from 'vitest'
import { silentLog } from '../../../kernel/log.ts'
import { createMetrics } from '../../../kernel/metrics.ts'
import type { Actor } from '../../../kernel/context.ts'
import { createHttp, httpOptions, route } from '../../../http/index.ts'
import { Type } from '../../../http/schema.ts'
import type { GateSpec, HttpOptions, HttpServer, NamedAuthenticator, Route } from '../../../http/index.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import type { RatelimitDriver } from '../driver.ts'
import { memory } from '../drivers/memory.ts'
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

export type Words = Partial<Parameters<typeof route>[0]>
export const at = (url: string, words: Words = {}): Route =>
  route({
    method: 'GET',
    url,
    id: url.slice(1),
    summary: url,
    access: 'public',
    data: Type.Object({ ok: Type.Boolean() }),
    handler: () => ({ ok: true }),
    ...(words as object),
  })
export const asUser = (id: string, tenant?: string): { authorization: string } => ({
  authorization: `Bearer user.${id}${tenant === undefined ? '' : `.${tenant}`}`,
})
export const tenantA = '0190b0a0-0000-7000-8000-00000000000a'
export const tenantB = '0190b0a0-0000-7000-8000-00000000000b'

/** What answers say about limits. */
export const told = (answer: { statusCode: number; headers: object }): (string | number | undefined)[] => {
  const headers = answer.headers as Record<string, string | undefined>
  return [answer.statusCode, headers['ratelimit-policy'], headers['ratelimit'], headers['retry-after']]
}

/** A store that answers later. */
export function distant(hooks: { take?: (name: string) => unknown; broken?: boolean } = {}): RatelimitDriver {
  const store = memory()
  return {
    name: 'distant',
    capabilities: { shared: true, synchronous: false },
    take: async (rule, key, cost) => {
      hooks.take?.(rule.name)
      await turn()
      if (hooks.broken === true) throw new Error('the store is at 10.0.0.7')
      return store.take(rule, key, cost)
    },
    peek: async (rule, key) => store.peek(rule, key),
    reset: async (rule, key) => store.reset(rule, key),
    acquire: async (rule, key, holder) => {
      await turn()
      if (hooks.broken === true) throw new Error('the store is at 10.0.0.7')
      return store.acquire(rule, key, holder)
    },
    renew: async (rule, places) => store.renew(rule, places),
    release: async (rule, key, holder) => store.release(rule, key, holder),
    close: () => store.close(),
  }
}
