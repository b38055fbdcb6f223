import { describe } from 'vitest'
import { hasRedis } from '../../../testing/redis-server.ts'
import { ratelimitContract } from '../contract.ts'
import { leased } from '../drivers/leased.ts'
import { termsOf } from '../drivers/leased/terms.ts'
import { redisStore } from './stores.ts'

describe.runIf(hasRedis)('over a redis-server', () => {
  ratelimitContract({ name: 'redis', create: () => redisStore((driver) => driver) })
  ratelimitContract({
    name: 'leased over redis',
    atOnce: (rule) => termsOf(rule)?.rule.burst ?? rule.burst,
    create: () => redisStore((driver) => leased(driver)),
  })
})
