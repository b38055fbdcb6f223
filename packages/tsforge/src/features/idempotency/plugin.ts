import { defineFeature } from '../../http/feature.ts'
import type { Around, AroundCall, ExtensionDocs, Feature } from '../../http/feature.ts'
import { idempotencyOf } from '../../http/route.ts'
import type { Route } from '../../http/route.ts'
import type { Port, Toolbox } from '../../kernel/plugin.ts'
import { dbPort } from '../../primitives/db/index.ts'
import type { Db } from '../../primitives/db/index.ts'
import { redisPort } from '../../primitives/redis/index.ts'
import type { Redis } from '../../primitives/redis/index.ts'
import { createIdempotency } from './create-idempotency.ts'
import type { IdempotencyDriver } from './driver.ts'
import { idempotencyErrors } from './errors.ts'
import { idempotencyPort } from './idempotency.ts'
import type { Idempotency, KeyedRequest, RunningIdempotency } from './idempotency.ts'
import { checkUnguessable, digest, parseKey } from './key.ts'
import { idempotencyOptions } from './options.ts'
import type { IdempotencyOptions } from './options.ts'

interface Needs {
  readonly db: typeof dbPort
  readonly redis: typeof redisPort
  readonly [name: string]: Port<unknown>
}

/** `Idempotency-Key` on every write of the app. `driver`: a store of one's own, instead of what the options name. */
export function idempotency(driver?: IdempotencyDriver): Feature {
  return defineFeature<IdempotencyOptions, Needs, RunningIdempotency>({
    name: 'idempotency',
    options: idempotencyOptions,
    needs: { db: dbPort, redis: redisPort },
    // The plugin itself knows more of the service than its users do.
    provides: idempotencyPort as Port<RunningIdempotency>,
    errors: idempotencyErrors,
    migrations: { module: 'idempotency', directory: new URL('./migrations/', import.meta.url) },
    setup: async (parts) => {
      const service = createIdempotency({ ...parts, driver: driver ?? (await chooseDriver(parts)) })
      parts.metrics.gauge('forge_idempotency_running', {
        help: 'Requests with an Idempotency-Key being carried out',
        collect: () => service.running,
      })
      parts.metrics.gauge('forge_idempotency_waiting', {
        help: 'Requests that wait for another with the same Idempotency-Key',
        collect: () => service.waiting,
      })
      return service
    },
    start: (service) => service.start(),
    stop: (service) => service.stop(),
    // Whether the store is away is not for a load balancer to act upon: requests without a key go on.
    health: (service) =>
      service.ping().then(
        () => ({ ok: true }),
        () => ({ ok: true, detail: 'degraded' }),
      ),
    around: (service) => ({ for: (route) => aroundOf(service, route), describe }),
  })
}

/** The store that the options ask for; only its own code is loaded. */
async function chooseDriver({
  options,
  app,
  clock,
  db,
  redis,
}: Pick<Toolbox<IdempotencyOptions>, 'options' | 'app' | 'clock'> & {
  readonly db: Db
  readonly redis: Redis | undefined
}): Promise<IdempotencyDriver> {
  if (options.driver === 'memory') return (await import('./drivers/memory.ts')).memory({ clock })
  if (options.driver !== 'redis') return (await import('./drivers/postgres.ts')).postgres(db)
  if (redis === undefined) throw idempotencyErrors.error('idempotency.redis_missing')
  return (await import('./drivers/redis.ts')).redis(redis, { prefix: app.name })
}

function aroundOf(service: Idempotency, route: Route): Around | undefined {
  const mode = idempotencyOf(route)
  if (route.method === 'GET' || mode === 'ignored') return undefined
  const operation = `${route.method} ${route.url}`
  return async (call, run) => {
    const header = call.header('idempotency-key')
    if (header === undefined) {
      if (mode === 'required') throw idempotencyErrors.error('idempotency.key_required')
      return run()
    }
    if (mode === 'refused') throw idempotencyErrors.error('idempotency.key_refused')
    const { answer, source, kept } = await service.once(keyed(call, parseKey(header), operation), run)
    if (source === 'replayed') call.addHeader('idempotent-replayed', 'true')
    if (!kept) call.addHeader('idempotency-persisted', 'false')
    return answer
  }
}

function keyed(call: AroundCall, key: string, operation: string): KeyedRequest {
  const { actor, route } = call
  if (actor.id === null) checkUnguessable(key)
  return {
    tenantId: call.tenantId,
    principal: actor.id === null ? null : `${actor.kind}:${actor.id}`,
    key,
    operation,
    // What a credential may do can show in the answer, and what If-Match names decides about the outcome.
    fingerprint: digest(
      route.method,
      call.target,
      call.bodyHash(),
      route.precondition === undefined ? null : (call.header('if-match') ?? null),
      actor.scopes === undefined ? null : actor.scopes.toSorted(),
    ),
    context: call.context,
    // Made only for those who wait.
    get signal() {
      return call.signal
    },
    render: (value) => call.render(value),
  }
}

const keyCodes = ['key_malformed', 'key_reused', 'in_progress', 'answer_gone', 'unavailable'].map(
  (code) => `idempotency.${code}`,
)

function describe(route: Route): ExtensionDocs | undefined {
  const mode = idempotencyOf(route)
  if (route.method === 'GET' || mode === 'ignored') return undefined
  if (mode === 'refused') return { errors: ['idempotency.key_refused'] }
  return {
    errors: [
      ...keyCodes,
      ...(mode === 'required' ? ['idempotency.key_required'] : []),
      ...(route.access === 'public' ? ['idempotency.key_guessable'] : []),
    ],
    headers: {
      'Idempotent-Replayed': {
        description: 'Present when this is the answer of an earlier request with the same key.',
        schema: { const: 'true' },
      },
    },
  }
}
