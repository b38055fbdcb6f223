import type { Clock } from '../../kernel/clock.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Db, Tx } from '../../primitives/db/index.ts'
import type { Egress } from '../../primitives/egress/index.ts'
import { jobsErrors } from '../../primitives/jobs/index.ts'
import type { Job, JobHandler, Jobs } from '../../primitives/jobs/index.ts'
import { insertDelivery, reopen, selectDeliveries, selectDelivery, setJob } from './delivery-repository.ts'
import { webhooksInErrors } from './errors.ts'
import { webhookAccepted, webhookRepeated } from './events.ts'
import { handlerOf, jobOf } from './handling.ts'
import type { HandlePayload } from './handling.ts'
import { createMeters } from './meters.ts'
import type { WebhooksInOptions } from './options.ts'
import { confirm, deliveryOf, verify } from './receive.ts'
import { keysFor } from './secrets.ts'
import { defineWebhookSource, keeps } from './source.ts'
import type { WebhookSource } from './source.ts'
import { startSweeping, sweep } from './sweep.ts'
import type { DeliveryContent, IncomingWebhook, Received, WebhooksIn } from './webhooks-in.ts'

export interface WebhooksInParts {
  readonly db: Db
  readonly jobs: Jobs
  /** Where keys of senders are fetched, and their questions answered. */
  readonly egress: Pick<Egress, 'fetch'>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly options: WebhooksInOptions
  readonly sources?: readonly WebhookSource[]
}

/** What the plugin knows besides. */
export interface RunningWebhooksIn extends WebhooksIn {
  /** Bytes that may come for this address. Throws `webhooks_in.source_unknown`. */
  limitOf(source: string, tenant: string | undefined): number
  /** What runs the jobs. From now on no source can be declared. */
  handlers(): readonly JobHandler[]
  sweep(): Promise<void>
  begin(): void
  end(): Promise<void>
}

interface Declared {
  readonly source: WebhookSource
  readonly job: Job<HandlePayload>
  readonly keeps: (event: string | null) => boolean
}

export function createWebhooksIn(parts: WebhooksInParts): RunningWebhooksIn {
  const { db, jobs, egress, clock, log, options } = parts
  // Two stores could not commit together.
  if (!jobs.driver.capabilities.transactions) throw jobsErrors.error('jobs.tx_unsupported')
  const meters = createMeters(parts.metrics)
  const room = { db, jobs, egress, clock, log, meters, options }
  const declared = new Map<string, Declared>()
  const sources = new Map<string, WebhookSource>()
  let sealed = false
  let stopSweeping: (() => Promise<void>) | undefined

  const declare = (given: WebhookSource): void => {
    const source = defineWebhookSource(given)
    const refuse = (reason: string): Error =>
      webhooksInErrors.error('webhooks_in.source_invalid', { meta: { source: source.name, reason } })
    if (sealed) throw refuse('sources are declared in setup, and the app runs already')
    if (declared.has(source.name)) throw refuse('another one has this name')
    declared.set(source.name, { source, job: jobOf(source), keeps: keeps(source.events) })
    sources.set(source.name, source)
  }
  for (const source of parts.sources ?? []) declare(source)

  const at = (name: string, tenant: string | undefined): Declared => {
    const found = declared.get(name)
    if (found === undefined || (found.source.perTenant === true) !== (tenant !== undefined))
      throw webhooksInErrors.error('webhooks_in.source_unknown')
    return found
  }

  const enqueue = async (tx: Tx, job: Job<HandlePayload>, id: string, tenantId: string | null): Promise<void> => {
    const added = await jobs.enqueue(job, { id }, { tenantId }, tx)
    await setJob(tx, id, added.id!)
  }

  const receive = async (incoming: IncomingWebhook): Promise<Received> => {
    const { source, job, keeps } = at(incoming.source, incoming.tenant)
    const verified = await verify(source, incoming, room)
    const description = source.verifier.describe(verified.request)
    if (description.challenge !== undefined) {
      meters.count(source.name, 'challenge')
      return { status: 'challenge', challenge: description.challenge }
    }
    if (description.confirm !== undefined) {
      await confirm(source, description.confirm, verified, room)
      return { status: 'confirmed' }
    }
    const delivery = deliveryOf(source, verified, description, new Date(clock.now()))
    const { id, tenantId, deliveryId, event } = delivery
    if (!keeps(event)) {
      meters.count(source.name, 'ignored')
      return { status: 'ignored' }
    }
    const fresh = await db.tx(async (tx) => {
      const inserted = await insertDelivery(tx, delivery)
      if (inserted) await enqueue(tx, job, id, tenantId)
      return inserted
    })
    const facts = { source: source.name, tenantId, deliveryId, event }
    meters.count(source.name, fresh ? 'accepted' : 'repeated')
    if (!fresh) {
      if (webhookRepeated.hasSubscribers) webhookRepeated.publish(facts)
      return { status: 'repeated' }
    }
    if (webhookAccepted.hasSubscribers) webhookAccepted.publish({ id, ...facts })
    return { status: 'accepted', id }
  }

  const find = async (
    id: string,
    tenantId: string | null | undefined,
  ): Promise<Awaited<ReturnType<typeof selectDelivery>> & object> => {
    const found = isUuid(id) ? await selectDelivery(db, id) : undefined
    if (found === undefined || (tenantId !== undefined && found.tenantId !== tenantId))
      throw webhooksInErrors.error('webhooks_in.delivery_unknown')
    return found
  }

  return {
    declare,
    sources,
    receive,
    limitOf: (name, tenant) => at(name, tenant).source.bodyBytes ?? options.bodyBytes,
    handlers() {
      sealed = true
      return [...declared.values()].map(({ source, job }) => handlerOf(source, job, room))
    },
    async list(filter = {}, { limit = 50, after } = {}) {
      const most = Math.min(Math.max(1, limit), 1000)
      const rows = await selectDeliveries(db, filter, most + 1, after?.[0] ?? undefined)
      const items = rows.slice(0, most)
      return { items, next: rows.length > most ? [items.at(-1)!.id] : undefined, previous: undefined, total: undefined }
    },
    async get(id, tenantId): Promise<DeliveryContent> {
      const { body, ...found } = await find(id, tenantId)
      if (body === null) throw webhooksInErrors.error('webhooks_in.delivery_gone')
      return { ...found, body }
    },
    async replay(id, tenantId) {
      const { source, tenantId: owner, body, state } = await find(id, tenantId)
      if (body === null) throw webhooksInErrors.error('webhooks_in.delivery_gone')
      const job = declared.get(source)?.job
      if (job === undefined) throw webhooksInErrors.error('webhooks_in.source_unknown')
      if (state === 'pending') throw webhooksInErrors.error('webhooks_in.delivery_open')
      await db.tx(async (tx) => {
        // Two replays at once: the second finds it pending.
        if (!(await reopen(tx, id))) throw webhooksInErrors.error('webhooks_in.delivery_open')
        await enqueue(tx, job, id, owner)
      })
    },
    async withoutSecret() {
      const own = [...declared.values()].filter(({ source }) => source.perTenant !== true)
      const found = await Promise.all(
        own.map(async ({ source }) => {
          const keys = await keysFor(source, { tenantId: null, headers: {} }, log).catch(() => [])
          return keys.length === 0 ? [source.name] : []
        }),
      )
      return found.flat()
    },
    sweep: () => sweep(room),
    begin: () => void (stopSweeping = startSweeping(room)),
    end: async () => stopSweeping?.(),
  }
}
