import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { PermissionSpec, Port } from '../../kernel/plugin.ts'
import { dbPort } from '../db/index.ts'
import { eventsPort } from '../events/index.ts'
import { redisPort } from '../redis/index.ts'
import type { Redis } from '../redis/index.ts'
import { createRealtime } from './create-realtime.ts'
import type { RunningRealtime } from './create-realtime.ts'
import type { EventLog, RealtimeDriver } from './driver.ts'
import { realtimeErrors } from './errors.ts'
import { realtimeOptions } from './options.ts'
import type { RealtimeOptions } from './options.ts'
import { realtimePort } from './realtime.ts'
import { realtimeRoutes, streamUrl } from './routes.ts'
import type { Topic } from './topic.ts'

interface Needs {
  readonly db: typeof dbPort
  readonly events: typeof eventsPort
  readonly redis: typeof redisPort
  readonly [name: string]: Port<unknown>
}

/** Streams of the topics that the parts of the app declare, at `/api/v1/stream`. Without any topic there is no route. */
export function realtime(): Feature {
  return defineFeature<RealtimeOptions, Needs, Running>({
    name: 'realtime',
    options: realtimeOptions,
    needs: { db: dbPort, events: eventsPort, redis: redisPort },
    // The plugin itself knows more of the service than its users do.
    provides: realtimePort as Port<Running>,
    errors: realtimeErrors,
    migrations: { module: 'realtime', directory: new URL('./migrations/', import.meta.url) },
    setup: async (parts) => {
      const { db, clock, log, metrics, options, permissions } = parts
      const driver = await chooseDriver(parts)
      const service = createRealtime(driver, { db, clock, log, metrics, options })
      return Object.assign(service, { driver, permissions })
    },
    start: ({ driver }) => driver.start(),
    stop: async (service) => {
      await service.close()
      await service.driver.close()
    },
    routes: realtimeRoutes,
    authenticator: (service) => ({
      name: 'streamTicket',
      scheme: { type: 'apiKey', in: 'query', name: 'ticket', description: 'Works once, for one stream.' },
      serves: ({ url }) => url === streamUrl,
      authenticate: (credentials) => {
        const ticket = credentials.query('ticket')
        return ticket === undefined ? undefined : service.redeemTicket(ticket)
      },
    }),
    worker: {
      declare: (service, { topics }) => {
        for (const topic of topics as readonly Topic[]) requirePermission(topic, service.permissions)
        service.declare(topics as readonly Topic[])
      },
      start: () => {},
      // As soon as the app is to stop: nobody else has to wait for those who only listen.
      drain: (service) => service.drain(),
      stop: () => {},
    },
  })
}

interface Running extends RunningRealtime {
  readonly driver: RealtimeDriver
  readonly permissions: Readonly<Record<string, PermissionSpec>>
}

function requirePermission({ name, permission }: Topic, known: Running['permissions']): void {
  if (permission === undefined || Object.hasOwn(known, permission)) return
  const reason = `it asks for the permission "${permission}", which no feature declares`
  throw realtimeErrors.error('realtime.topic_malformed', { meta: { topic: name, reason } })
}

interface DriverParts {
  readonly options: RealtimeOptions
  readonly events: EventLog
  readonly redis: Redis | undefined
  readonly clock: Clock
  readonly log: Log
}

/** Only the code of the chosen one is loaded. */
async function chooseDriver({ options, events, redis: connection, clock, log }: DriverParts): Promise<RealtimeDriver> {
  if (options.driver === 'log') return (await import('./drivers/log.ts')).log(events)
  if (connection === undefined)
    throw realtimeErrors.error('realtime.option_invalid', {
      meta: { option: 'FORGE_REALTIME_DRIVER without REDIS_URL' },
    })
  const { redis } = await import('./drivers/redis.ts')
  return redis(connection, { events, clock, log, length: options.redisLength })
}
