import { ratelimitContract } from '../contract.ts'
import { leased } from '../drivers/leased.ts'
import { termsOf } from '../drivers/leased/terms.ts'
import { postgresStore } from './stores.ts'

ratelimitContract({ name: 'postgres', create: () => postgresStore((driver) => driver) })
ratelimitContract({
  name: 'leased over postgres',
  atOnce: (rule) => termsOf(rule)?.rule.burst ?? rule.burst,
  create: () => postgresStore((driver) => leased(driver)),
})
