import type { Feature } from '../http/feature.ts'
import { ForgeError } from '../kernel/errors.ts'
import { createLifecycle } from '../kernel/lifecycle.ts'
import type { Part } from '../kernel/lifecycle.ts'
import type { Toolbox } from '../kernel/plugin.ts'
import { hostErrors } from './errors.ts'

/** Everything that a feature's `setup` receives besides its options and needs. */
export type Tools = Omit<Toolbox<unknown>, 'options'>

/** Services by the feature that made them, in order. */
export type Services = ReadonlyMap<Feature, unknown>

export interface Parts {
  readonly services: Services
  /** Starts all features in order. `ready` runs once the provider of `port`, with all that it needs, has started. */
  start(port: string, ready: () => Promise<void>): Promise<void>
  /** Starts the workers. All features have to be started. */
  work(): Promise<void>
  /** Ends the workers, first what they hold. Never rejects; `stop` tells what went wrong. */
  rest(): Promise<void>
  /**
   * Rests, drains, then stops every feature that was set up, started or not, last one first. Rejects when one failed
   * or had to be left behind, after all had their turn.
   */
  stop(): Promise<void>
}

export interface PartsSettings {
  /** In order of their needs. */
  readonly features: readonly Feature[]
  /** Settings by feature. */
  readonly options: Readonly<Record<string, unknown>>
  readonly tools: Tools
  /** Most milliseconds for all of `stop` but the workers. */
  readonly stopTimeoutMs: number
  /** Most milliseconds for the workers. Default: the same. */
  readonly restTimeoutMs?: number
}

/** Sets up all features in order. When one fails, those before it are stopped again. */
export async function setUp(settings: PartsSettings): Promise<Parts> {
  const { features, options, tools, stopTimeoutMs, restTimeoutMs = stopTimeoutMs } = settings
  const { clock, log } = tools
  const services = new Map<Feature, unknown>()
  const ports = new Map<string, unknown>()

  const setUpOne = async (feature: Feature): Promise<void> => {
    const wired = Object.entries(feature.needs ?? {}).map(([key, need]) => [key, ports.get(need.name)] as const)
    const parts = {
      ...Object.fromEntries(wired),
      ...tools,
      log: log.child({ part: feature.name }),
      options: options[feature.name] ?? {},
    }
    const service = await feature.setup(parts as never)
    services.set(feature, service)
    if (feature.provides !== undefined) ports.set(feature.provides.name, service)
  }
  // Two lives, since what was set up has to be stopped even if it was never started.
  const setUps = features.map((feature) => ({
    name: feature.name,
    start: () => named('boot.setup_failed', feature.name, () => setUpOne(feature)),
    stop: () => feature.stop?.(services.get(feature)),
  }))
  const existing = createLifecycle([...setUps, { name: 'declarations', start: () => declareAll(services) }], {
    clock,
    log,
    stopTimeoutMs: stopTimeoutMs * 0.4,
  })
  const activity = (feature: Feature): Part => ({
    name: feature.name,
    start: (signal) => named('boot.start_failed', feature.name, () => feature.start?.(services.get(feature), signal)),
    drain: (signal) => feature.drain?.(services.get(feature), signal),
  })
  let active = createLifecycle([], { clock, log })
  const working = createLifecycle(
    features.flatMap((feature) => workerPart(feature, services) ?? []),
    { clock, log, stopTimeoutMs: restTimeoutMs },
  )

  await existing.start()
  return {
    services,
    start(port, ready) {
      const early = closure(features, port)
      const parts = [
        ...early.map(activity),
        { name: 'migrations', start: ready },
        ...features.filter((each) => !early.includes(each)).map(activity),
      ]
      active = createLifecycle(parts, { clock, log, stopTimeoutMs: stopTimeoutMs * 0.6 })
      return active.start()
    },
    work: () => working.start(),
    async rest() {
      await working.stop()
    },
    async stop() {
      const rested = await working.stop()
      const drained = await active.stop()
      const stopped = await existing.stop()
      const faults = [rested, drained, stopped].flatMap(({ late, failed }) => [
        ...late.map((each) => `${each} took too long`),
        ...failed.map((each) => `${each} failed`),
      ])
      if (faults.length > 0) throw new Error(`not everything stopped cleanly: ${faults.join(', ')}`)
    },
  }
}

async function declareAll(services: Services): Promise<void> {
  const all = [...services]
  const declared = {
    jobs: all.flatMap(([feature, service]) => feature.jobs?.(service) ?? []),
    schedules: all.flatMap(([feature, service]) => feature.schedules?.(service) ?? []),
    subscriptions: all.flatMap(([feature, service]) => feature.subscriptions?.(service) ?? []),
    topics: all.flatMap(([feature, service]) => feature.topics?.(service) ?? []),
  }
  for (const [{ name, worker }, service] of all)
    await named('boot.setup_failed', name, () => worker?.declare(service, declared))
}

function workerPart(feature: Feature, services: Services): Part | undefined {
  const { name, worker } = feature
  if (worker === undefined) return undefined
  const service = (): unknown => services.get(feature)
  return {
    name: `${name} worker`,
    start: (signal) => named('boot.start_failed', name, () => worker.start(service(), signal)),
    drain: (signal) => worker.drain(service(), signal),
    stop: () => worker.stop(service()),
  }
}

/** The provider of `port` and everything that it needs, in order. */
function closure(features: readonly Feature[], port: string): readonly Feature[] {
  const found = new Set<Feature>()
  const visit = (name: string): void => {
    const provider = features.find((feature) => feature.provides?.name === name)
    if (provider === undefined || found.has(provider)) return
    found.add(provider)
    for (const need of Object.values(provider.needs ?? {})) visit(need.name)
  }
  visit(port)
  return features.filter((feature) => found.has(feature))
}

/** Our own errors say what to do already; others get the name of the part. */
async function named(
  code: 'boot.setup_failed' | 'boot.start_failed',
  name: string,
  work: () => void | Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (error instanceof ForgeError) throw error
    throw hostErrors.error(code, {
      meta: { name, reason: error instanceof Error ? error.message : String(error) },
      cause: error,
    })
  }
}
