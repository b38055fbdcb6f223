import type { Feature } from '../http/feature.ts'
import { inOrder } from '../kernel/lifecycle.ts'
import type { Plugin } from '../kernel/plugin.ts'
import type { Ports } from '../kernel/plugin.ts'
import { eventsPort } from '../primitives/events/outbox.ts'
import { jobsPort } from '../primitives/jobs/jobs.ts'
import { schedulesPort } from '../primitives/jobs/scheduler/schedules.ts'
import { realtimePort } from '../primitives/realtime/realtime.ts'
import { hostErrors } from './errors.ts'

/**
 * Orders plugins so that each comes after the providers of its needs, and brings the standard provider of
 * every port that nothing listed provides. Stable: plugins that do not need each other keep the order given.
 *
 * @throws `boot.*` when an entry is no plugin or listed twice, or a port has two providers or none; `lifecycle.cycle`.
 */
export async function arrange(listed: readonly Feature[]): Promise<readonly Feature[]> {
  const names = new Set<string>()
  const providers = new Map<string, Feature>()

  const add = (plugin: Feature, index: number): void => {
    assertPlugin(plugin, index)
    if (names.has(plugin.name)) throw hostErrors.error('boot.duplicate_plugin', { meta: { name: plugin.name } })
    names.add(plugin.name)
    if (plugin.provides === undefined) return
    const { name: port } = plugin.provides
    const first = providers.get(port)
    if (first !== undefined) {
      throw hostErrors.error('boot.duplicate_provider', { meta: { first: first.name, second: plugin.name, port } })
    }
    providers.set(port, plugin)
  }

  const all = [...listed]
  all.forEach(add)
  // The list grows while it is walked: a standard provider has needs of its own.
  for (let i = 0; i < all.length; i++) {
    const plugin = all[i] as Feature
    for (const need of Object.values(needsOf(plugin))) {
      if (providers.has(need.name)) continue
      const standard: Plugin | undefined = await need.standard?.()
      if (standard?.provides?.name !== need.name) {
        throw hostErrors.error('boot.missing_provider', { meta: { name: plugin.name, port: need.name } })
      }
      add(standard as Feature, all.length)
      all.push(standard as Feature)
    }
  }
  const needed = (feature: Feature): string[] =>
    Object.values(feature.needs ?? {}).map((need) => (providers.get(need.name) as Feature).name)
  return inOrder(all.map((feature) => ({ name: feature.name, needs: needed(feature), feature }))).map(
    ({ feature }) => feature,
  )
}

/** Whoever has jobs, schedules, subscriptions or topics needs somebody to see to them, though not to start before it. */
function needsOf({ needs = {}, jobs, schedules, subscriptions, topics }: Feature): Ports {
  return {
    ...needs,
    ...(jobs !== undefined && { 'its jobs': jobsPort }),
    ...(schedules !== undefined && { 'its schedules': schedulesPort }),
    ...(subscriptions !== undefined && { 'its subscriptions': eventsPort }),
    ...(topics !== undefined && { 'its topics': realtimePort }),
  }
}

function assertPlugin(value: unknown, index: number): asserts value is Feature {
  const plugin = value as Partial<Feature> | null | undefined
  if (
    typeof plugin === 'object' &&
    plugin !== null &&
    typeof plugin.name === 'string' &&
    typeof plugin.setup === 'function'
  )
    return
  const what =
    typeof value === 'function'
      ? `the function ${value.name || '(anonymous)'}`
      : value === null
        ? 'null'
        : `of type ${typeof value}`
  throw hostErrors.error('boot.not_a_plugin', { meta: { index, what } })
}
