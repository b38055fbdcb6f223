import { Type } from 'typebox'
import type { Feature } from '../http/feature.ts'
import { route } from '../http/route.ts'
import type { Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import type { AppInfo, Health } from '../kernel/plugin.ts'
import type { Log } from '../kernel/log.ts'
import { hostErrors } from './errors.ts'

export interface HealthSettings {
  readonly app: AppInfo
  readonly log: Log
  /** Plugins that are set up, with their services. */
  readonly services: ReadonlyMap<Feature, unknown>
  isDraining(): boolean
  readonly clock: Clock
  /** Milliseconds that all checks together may take. */
  readonly budgetMs: number
}

const Healthz = Type.Object({ status: Type.Literal('ok'), service: Type.String(), version: Type.String() })
const Readyz = Type.Object({
  status: Type.Literal('ready'),
  checks: Type.Record(Type.String(), Type.String()),
})

/**
 * `/healthz` says that the process answers, draining or not. `/readyz` says whether to send it requests: 503
 * from the moment that a stop is asked for, and while a part reports that it is down.
 */
export function healthRoutes(settings: HealthSettings): readonly Route[] {
  const alive = Object.freeze({ status: 'ok' as const, service: settings.app.name, version: settings.app.version })
  const check = singleFlight(() => checkAll(settings))
  return [
    route({
      method: 'GET',
      url: '/healthz',
      id: 'getHealth',
      summary: 'Whether the process is alive',
      tags: ['operations'],
      access: 'public',
      vital: true,
      etag: false,
      data: Healthz,
      handler: () => alive,
    }),
    route({
      method: 'GET',
      url: '/readyz',
      id: 'getReadiness',
      summary: 'Whether the process should receive requests',
      tags: ['operations'],
      access: 'public',
      vital: true,
      etag: false,
      data: Readyz,
      errors: ['host.draining', 'host.not_ready'],
      handler: async () => {
        if (settings.isDraining()) throw hostErrors.error('host.draining')
        const { ok, checks } = await check()
        if (settings.isDraining()) throw hostErrors.error('host.draining')
        if (!ok) throw hostErrors.error('host.not_ready', { meta: { checks } })
        return { status: 'ready' as const, checks }
      },
    }),
  ]
}

interface Report {
  readonly ok: boolean
  readonly checks: Record<string, string>
}

/** Asks every part that has something to say, all at once, and takes silence within the budget as "down". */
export async function checkAll(
  settings: Pick<HealthSettings, 'services' | 'budgetMs' | 'clock' | 'log'>,
): Promise<Report> {
  const late = new AbortController()
  const timer = settings.clock.after(settings.budgetMs, () =>
    late.abort(new Error('took longer than FORGE_HEALTH_BUDGET')),
  )
  const { signal } = late
  const asked = [...settings.services].filter(([plugin]) => plugin.health !== undefined)
  const answers = await Promise.all(
    asked.map(async ([plugin, service]): Promise<[string, Health]> => {
      try {
        return [plugin.name, await raced((plugin.health as NonNullable<Feature['health']>)(service, signal), signal)]
      } catch (error) {
        settings.log.warn({ part: plugin.name, err: error }, 'a health check failed')
        return [plugin.name, { ok: false }]
      }
    }),
  )
  timer.cancel()
  return {
    ok: answers.every(([, health]) => health.ok),
    checks: Object.fromEntries(answers.map(([name, { ok, detail }]) => [name, detail ?? (ok ? 'ok' : 'down')])),
  }
}

/** A part that ignores the signal must not hold the answer. */
function raced<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

/** Callers that come while one check runs share it: probing must not become load. */
function singleFlight<T>(fn: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => (running ??= fn().finally(() => (running = undefined)))
}
