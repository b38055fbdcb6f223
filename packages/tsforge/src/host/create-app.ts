import { randomBytes } from 'node:crypto'
import { createHttp } from '../http/index.ts'
import type { HttpServer } from '../http/index.ts'
import type { Route } from '../http/route.ts'
import { systemClock } from '../kernel/clock.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Log } from '../kernel/log.ts'
import { createMetrics } from '../kernel/metrics.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { createSecrets } from '../kernel/secrets.ts'
import type { Secrets } from '../kernel/secrets.ts'
import { createTelemetry } from '../primitives/telemetry/index.ts'
import type { LineSink } from '../kernel/log.ts'
import type { App } from './app.ts'
import { compose, permissionsOf } from './compose.ts'
import { healthRoutes } from './health.ts'
import { metricsRoutes } from './metrics-route.ts'
import { planApp } from './plan.ts'
import type { Plan, PlanInput } from './plan.ts'
import { setUp } from './parts.ts'
import type { Parts, Services } from './parts.ts'
import { RunningApp, partsShare } from './running-app.ts'
import { developmentSecret } from './secret-file.ts'

export interface AppInput extends PlanInput {
  /** Default: the machine's clock. */
  readonly clock?: Clock
  /** Where log lines go. Default: stdout, asynchronously. */
  readonly sink?: LineSink
}

/**
 * Composes an app: orders its parts, brings what they need, reads all settings and sets every part up. The
 * database is not touched before `open` or `start`.
 *
 * @throws `boot.*` and `config.invalid`, each naming the fault and the fix.
 */
export async function createApp(input: AppInput): Promise<App> {
  return fromPlan(await planApp(input), input)
}

/** Like `createApp` for a plan that exists already. */
export async function fromPlan(
  plan: Plan,
  { clock = systemClock, sink }: Pick<AppInput, 'clock' | 'sink'> = {},
): Promise<App> {
  const { app } = plan
  const telemetry = createTelemetry(plan.log, { app, clock, ...(sink !== undefined && { sink }) })
  const metrics = createMetrics()
  metrics.gauge('forge_log_lines_dropped', {
    help: 'Log lines given up because nobody took them, since the start.',
    collect: () => telemetry.dropped(),
  })
  const tools = {
    app,
    clock,
    log: telemetry.log,
    metrics,
    secrets: secretsOf(plan),
    permissions: permissionsOf(plan.features),
  }
  const state = { draining: false }
  let parts: Parts | undefined
  try {
    parts = await setUp({
      features: plan.features,
      options: plan.options,
      tools,
      stopTimeoutMs: plan.host.shutdownTimeoutMs * partsShare,
      restTimeoutMs: plan.host.shutdownTimeoutMs * (1 - partsShare),
    })
    const serving = { ...tools, sink: telemetry.sink, isDraining: () => state.draining }
    const { http, routes } = await serve(plan, parts.services, serving)
    return new RunningApp({ plan, parts, http, routes, state, clock, telemetry, metrics })
  } catch (error) {
    // The first fault is the one to tell.
    await parts?.stop().catch(() => undefined)
    await telemetry.close()
    throw error
  }
}

interface Serving {
  readonly clock: Clock
  readonly log: Log
  readonly sink: LineSink
  readonly metrics: Metrics
  isDraining(): boolean
}

async function serve(
  plan: Plan,
  services: Services,
  parts: Serving,
): Promise<{ readonly http: HttpServer; readonly routes: readonly Route[] }> {
  const { app, host } = plan
  const { routes: own, ...composition } = compose(services)
  const routes = [
    ...healthRoutes({ ...parts, app, services, budgetMs: host.healthBudgetMs }),
    ...metricsRoutes(parts.metrics, host.metricsToken?.reveal(), app.environment === 'production'),
    ...own,
  ]
  return { routes, http: await createHttp({ ...parts, ...composition, app, options: plan.http }, routes) }
}

/** Production has `FORGE_SECRET` or does not get here; a test's secret lives as long as the test. */
function secretsOf({ app, host }: Plan): Secrets {
  const standIn = (): string =>
    app.environment === 'test' ? randomBytes(32).toString('base64url') : developmentSecret(app.root)
  const previous = host.previousSecrets
    ?.reveal()
    .split(',')
    .map((secret) => secret.trim())
    .filter((secret) => secret !== '')
  return createSecrets({ current: host.secret ?? standIn(), previous: previous ?? [] })
}
