import type { Log } from '../../kernel/log.ts'
import type { Health, Plugin } from '../../kernel/plugin.ts'
import { createRedis } from './create-redis.ts'
import type { LiveRedis } from './create-redis.ts'
import { redisErrors } from './errors.ts'
import type { RedisConnectionEvent } from './events.ts'
import { redisOptions } from './options.ts'
import type { RedisOptions } from './options.ts'
import { redisPort } from './redis.ts'
import type { Redis } from './redis.ts'

/** Provides `redisPort`: the server of REDIS_URL, or your own client; undefined when there is neither. */
export function redis(client?: LiveRedis): Plugin {
  const plugin: Plugin<RedisOptions, Record<never, never>, Redis | undefined> = {
    name: 'redis',
    options: redisOptions,
    provides: redisPort,
    errors: redisErrors,
    setup: async ({ options, clock, log, metrics, app }) => {
      const { url, deadlineMs, connectMs } = options
      const policy = { deadlineMs, connectMs, clock, metrics, log, onEvent: tellLog(log) }
      if (client === undefined && url === undefined) return undefined
      const service = createRedis(client ?? { url: url!.reveal(), name: app.name }, policy)
      // The app starts without Redis too, unless it cannot work at all.
      await service.command(['PING']).catch((error: unknown) => {
        if (!redisErrors.is(error, 'redis.driver_missing')) return
        throw error
      })
      return service
    },
    stop: (service) => service?.close(),
    health: async (service) => health(service),
  }
  return plugin as unknown as Plugin
}

/** Whether Redis is down is not for a load balancer to act upon: every replica would leave at once. */
async function health(service: Redis | undefined): Promise<Health> {
  if (service === undefined) return { ok: true, detail: 'not used' }
  return service.command(['PING']).then(
    () => ({ ok: true }),
    () => ({ ok: true, detail: 'degraded' }),
  )
}

/** Says once that it is gone and once that it is back, whatever the number of attempts between. */
function tellLog(log: Log): (event: RedisConnectionEvent) => void {
  const away = new Set<RedisConnectionEvent['use']>()
  return ({ kind, use, cause }) => {
    if (kind === 'ready') {
      if (away.delete(use)) log.info({ use }, 'Redis is back')
    } else if (!away.has(use)) {
      away.add(use)
      log.warn({ use, err: cause }, 'Redis is away')
    }
  }
}
