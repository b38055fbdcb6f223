import { randomUUID } from 'node:crypto'
import { quotaPort } from '../../features/quota/index.ts'
import type { App } from '../../host/app.ts'
import type { Plan } from '../../host/plan.ts'
import type { Port } from '../../kernel/plugin.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'

/** Parts whose store may be another one than the database. */
const names = ['cache', 'ratelimit', 'idempotency']
const patienceMs = 10_000

/** Asks the stores of cache, limits and idempotency keys whether they answer, and quotas for the plan of a new tenant. */
export async function examineStores(app: App, plan: Plan, tablesPending: boolean): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  for (const { name, provides, health } of plan.features) {
    const counts = name === quotaPort.name
    if (!counts && !names.includes(name)) continue
    if (tablesPending) findings.push(fine(name, 'its tables will be made by the migrations'))
    else findings.push(await (counts ? examineQuota(app) : examineHealth(app, name, provides!, health!)))
  }
  return findings
}

async function examineHealth(
  app: App,
  name: string,
  port: Port<unknown>,
  health: NonNullable<Plan['features'][number]['health']>,
): Promise<Finding> {
  try {
    const { ok, detail } = await health(app.get(port), AbortSignal.timeout(patienceMs))
    if (ok && detail !== 'degraded') return fine(name, 'its store answers')
    return { name, state: 'warning', detail: 'its store does not answer', fix: 'See the log, and REDIS_URL.' }
  } catch (error) {
    return broken(name, error)
  }
}

async function examineQuota(app: App): Promise<Finding> {
  try {
    const { plan } = await app.get(quotaPort).planOf(randomUUID())
    return fine('quota', `a new tenant is on the plan ${plan.name}`)
  } catch (error) {
    return broken('quota', error)
  }
}
