import type { App } from '../../host/app.ts'
import { migratorOf } from '../../host/migrations.ts'
import { fromPlan } from '../../host/create-app.ts'
import type { Plan } from '../../host/plan.ts'
import { webhooksPort } from '../../features/webhooks/index.ts'
import { webhooksInPort } from '../../features/webhooks-in/index.ts'
import { dbPort } from '../../primitives/db/index.ts'
import { eventsPort } from '../../primitives/events/index.ts'
import { jobsPort } from '../../primitives/jobs/index.ts'
import { keysPort } from '../../primitives/keys/index.ts'
import { mailerPort } from '../../primitives/mailer/index.ts'
import { redisPort } from '../../primitives/redis/index.ts'
import { storagePort } from '../../primitives/storage/index.ts'
import { stderrSink } from '../app.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'
import { examineEvents } from './events.ts'
import { examineJobs } from './jobs.ts'
import { examineMailer } from './mailer.ts'
import { examineRedis } from './redis.ts'
import { examineStorage } from './storage.ts'
import { examineStores } from './stores.ts'
import { examineWebhooks } from './webhooks.ts'
import { examineWebhooksIn } from './webhooks-in.ts'

/** PostgreSQL 14 is the oldest release that still gets fixes. */
const oldestServer = 14
const skewLimitMs = 5000

/** What can only be told with the app's services at hand: the database and what lies in it. */
export async function examineServices(plan: Plan): Promise<readonly Finding[]> {
  const sink = await stderrSink()
  let app: App
  try {
    app = await fromPlan(plan, { sink })
  } catch (error) {
    await sink.close()
    return [broken('setup', error)]
  }
  const findings: Finding[] = [fine('setup', `${app.routes.length} routes`)]
  try {
    if (plan.features.some((feature) => feature.provides?.name === dbPort.name))
      findings.push(...(await examineDatabase(app, plan)))
    const redis = plan.features.some((feature) => feature.provides?.name === redisPort.name)
      ? app.get(redisPort)
      : undefined
    if (redis !== undefined) findings.push(await examineRedis(redis))
    if (plan.features.some((feature) => feature.provides?.name === storagePort.name))
      findings.push(await examineStorage(app.get(storagePort)))
    if (plan.features.some((feature) => feature.provides?.name === webhooksInPort.name))
      findings.push(await examineWebhooksIn(app.get(webhooksInPort)))
    if (plan.features.some((feature) => feature.provides?.name === mailerPort.name))
      findings.push(await examineMailer(app.get(mailerPort)))
    if (
      findings.every(({ state }) => state !== 'failed') &&
      plan.features.some((feature) => feature.provides?.name === webhooksPort.name) &&
      !isPending(findings)
    )
      findings.push(await examineWebhooks(app.get(webhooksPort)))
    if (findings.every(({ state }) => state !== 'failed'))
      findings.push(...(await examineStores(app, plan, isPending(findings))))
  } finally {
    await app.stop().catch(() => undefined)
    await sink.close()
  }
  return findings
}

async function examineDatabase(app: App, plan: Plan): Promise<readonly Finding[]> {
  try {
    await app.db.start()
    const askedAt = Date.now()
    const { rows } = await app.db.query<{ version: string; now: Date }>(
      `select current_setting('server_version_num') as version, clock_timestamp() as now`,
    )
    const answeredAt = Date.now()
    const [row] = rows
    if (row === undefined) throw new Error('the database did not answer')
    const pending = await pendingMigrations(app)
    return [
      version(Number(row.version)),
      skew(new Date(row.now).getTime(), askedAt, answeredAt),
      ...pending,
      ...(await signingKeys(app, plan, pending)),
      ...(await queues(app, plan, pending)),
      ...(await log(app, plan, pending)),
    ]
  } catch (error) {
    return [broken('database', error)]
  }
}

function version(number: number): Finding {
  const major = Math.floor(number / 10_000)
  const detail = `PostgreSQL ${major}.${number % 10_000}`
  if (major >= oldestServer) return fine('database', detail)
  return { name: 'database', state: 'failed', detail, fix: `Use PostgreSQL ${oldestServer} or newer.` }
}

/** The database looked at its clock between the question and the answer; how long that took is no difference. */
export function skew(databaseTime: number, askedAt: number, answeredAt: number): Finding {
  const ms = Math.round(Math.max(askedAt - databaseTime, 0) + Math.min(answeredAt - databaseTime, 0))
  if (Math.abs(ms) <= skewLimitMs) return fine('clock', `${Math.abs(ms)} ms from the database's`)
  return {
    name: 'clock',
    state: 'warning',
    detail: `${ms} ms from the database's`,
    fix: 'Synchronize both clocks (NTP): tokens and leases depend on them.',
  }
}

async function pendingMigrations(app: App): Promise<readonly Finding[]> {
  const migrator = migratorOf(app)
  const [status, drift] = await Promise.all([migrator.status(), migrator.drift()])
  const pending = status.filter((each) => each.state === 'pending')
  const applied = `${status.length - pending.length} applied`
  const willRun =
    app.plan.host.migrate === 'auto' || (app.plan.host.migrate === undefined && app.info.environment !== 'production')
  const migrations: Finding =
    pending.length === 0
      ? fine('migrations', applied)
      : willRun
        ? fine('migrations', `${applied}, ${pending.length} to be applied at the next start`)
        : {
            name: 'migrations',
            state: 'failed',
            detail: `${applied}, ${pending.length} pending`,
            fix: 'Run forge migrate up.',
          }
  const drifted: Finding =
    drift.length === 0
      ? fine('drift', 'files and database agree')
      : {
          name: 'drift',
          state: 'failed',
          detail: drift.map(({ kind, id }) => `${id} ${kind}`).join(', '),
          fix: 'See forge migrate drift.',
        }
  return [migrations, drifted]
}

async function signingKeys(app: App, plan: Plan, pending: readonly Finding[]): Promise<readonly Finding[]> {
  if (!plan.features.some((feature) => feature.provides?.name === keysPort.name)) return []
  if (isPending(pending)) return [fine('keys', 'will be made at the first start')]
  try {
    const list = await app.get(keysPort).list()
    const active = list.find((key) => key.state === 'active')
    return [
      active === undefined
        ? fine('keys', 'will be made at the first start')
        : fine('keys', `${active.algorithm} ${active.kid} signs`),
    ]
  } catch (error) {
    return [broken('keys', error)]
  }
}

async function queues(app: App, plan: Plan, pending: readonly Finding[]): Promise<readonly Finding[]> {
  if (!plan.features.some((feature) => feature.provides?.name === jobsPort.name)) return []
  if (isPending(pending)) return [fine('jobs', 'their tables will be made by the migrations')]
  return [await examineJobs(app.get(jobsPort), app.db)]
}

async function log(app: App, plan: Plan, pending: readonly Finding[]): Promise<readonly Finding[]> {
  if (!plan.features.some((feature) => feature.provides?.name === eventsPort.name)) return []
  if (isPending(pending)) return [fine('events', 'their tables will be made by the migrations')]
  return [await examineEvents(app.get(eventsPort))]
}

function isPending(migrations: readonly Finding[]): boolean {
  return migrations.some(({ detail }) => detail.includes('to be applied') || detail.includes('pending'))
}
