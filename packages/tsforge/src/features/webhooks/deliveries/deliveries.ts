import type { Clock } from '../../../kernel/clock.ts'
import { requireTenantId } from '../../../kernel/context.ts'
import { isUuid, uuidv7 } from '../../../kernel/ids.ts'
import type { PageRequest } from '../../../kernel/page.ts'
import type { Db } from '../../../primitives/db/index.ts'
import type { Jobs } from '../../../primitives/jobs/index.ts'
import type { Endpoints } from '../endpoints/endpoints.ts'
import type { Endpoint } from '../endpoints/endpoint.ts'
import { webhooksErrors } from '../errors.ts'
import { webhookTest } from '../events.ts'
import { ofData } from '../messages/body.ts'
import { write } from '../messages/fan-out.ts'
import type { FanOutParts } from '../messages/fan-out.ts'
import { selectMessage, selectMessages } from '../messages/repository.ts'
import type { WebhooksOptions } from '../options.ts'
import type { Webhooks } from '../webhooks.ts'
import { begin, countFitting, lockDelivery, replayBatch, takeFitting } from './again.ts'
import type { Delivery, Message } from './delivery.ts'
import * as repository from './repository.ts'
import { selectStats } from './stats.ts'

export interface DeliveriesParts {
  readonly db: Db
  readonly clock: Clock
  readonly jobs: Jobs
  readonly endpoints: Endpoints
  readonly options: WebhooksOptions
  readonly source: string
  readonly fanOut: FanOutParts
}

export type Deliveries = Pick<
  Webhooks,
  'test' | 'deliveries' | 'delivery' | 'attempts' | 'messages' | 'message' | 'resend' | 'replay' | 'stats'
>

const newest: PageRequest = { limit: 100, order: [{ column: 'id', direction: 'desc' }] }
/** What one call of a replay begins at most. */
const replayLimit = 10_000
const statsMs = 7 * 86_400_000

/** What was sent, how that went, and sending it again; in the running unit of work's tenant. */
export function createDeliveries(parts: DeliveriesParts): Deliveries {
  const { db, clock, jobs, endpoints, options, source, fanOut } = parts

  const find = async (id: string): Promise<Delivery> => {
    const delivery = isUuid(id) ? await repository.selectDelivery(db, requireTenantId(), id) : undefined
    if (delivery === undefined) throw webhooksErrors.error('webhooks.delivery_not_found')
    return delivery
  }
  const findMessage = async (id: string): Promise<Message> => {
    const message = isUuid(id) ? await selectMessage(db, requireTenantId(), id) : undefined
    if (message === undefined) throw webhooksErrors.error('webhooks.message_not_found')
    return message
  }
  const enabled = async (id: string): Promise<Endpoint> => {
    const endpoint = await endpoints.get(id)
    if (!endpoint.enabled) throw webhooksErrors.error('webhooks.endpoint_disabled')
    return endpoint
  }

  return {
    async test(id) {
      const endpoint = await enabled(id)
      const message = await ofData(
        webhookTest as never,
        {
          tenantId: endpoint.tenantId,
          id: uuidv7(),
          data: { endpoint_id: id, message: 'This is a test.' },
        },
        { source, time: new Date(clock.now()).toISOString(), limit: options.bodyBytes },
      )
      await db.tx((tx) => write(tx, [{ message, to: [endpoint] }], fanOut))
      const { items } = await repository.selectDeliveries(
        db,
        endpoint.tenantId,
        { endpointId: id, type: webhookTest.type },
        { ...newest, limit: 20 },
      )
      return items.find(({ eventId }) => eventId === message.eventId) ?? items[0]!
    },

    async deliveries(filter, page = newest) {
      if (filter.endpointId !== undefined) await endpoints.get(filter.endpointId)
      if (filter.messageId !== undefined) await findMessage(filter.messageId)
      return repository.selectDeliveries(db, requireTenantId(), filter, page)
    },
    delivery: find,
    async attempts(deliveryId, page = newest) {
      await find(deliveryId)
      return repository.selectAttempts(db, requireTenantId(), deliveryId, page)
    },
    messages: ({ type }, page = newest) => selectMessages(db, requireTenantId(), type, page),
    message: findMessage,

    async resend(id) {
      if (!isUuid(id)) throw webhooksErrors.error('webhooks.delivery_not_found')
      const now = await db.tx(async (tx) => {
        const delivery = await lockDelivery(tx, requireTenantId(), id)
        if (delivery === undefined) throw webhooksErrors.error('webhooks.delivery_not_found')
        if (!delivery.enabled) throw webhooksErrors.error('webhooks.endpoint_disabled')
        if (delivery.state !== 'pending') return void (await begin(tx, jobs, [delivery]))
        await tx.query('update forge_webhooks_deliveries set next_at = null where id = $1', [id])
        return delivery.jobId
      })
      // One that waits is tried now; one that is under way already has what was asked for.
      if (typeof now === 'number') await jobs.driver.retry([now])
      return find(id)
    },

    async replay(endpointId, replay) {
      const { tenantId } = replay.preview === true ? await endpoints.get(endpointId) : await enabled(endpointId)
      const { count: fit, sample } = await countFitting(db, tenantId, endpointId, replay)
      if (replay.preview === true) return { count: fit, more: false, sample }
      let count = 0
      let after = '0'
      for (let last = replayBatch; last === replayBatch && count < replayLimit;) {
        const taken = await db.tx(async (tx) => {
          const some = await takeFitting(tx, tenantId, endpointId, replay, after)
          await begin(tx, jobs, some)
          return some
        })
        last = taken.length
        count += last
        after = taken.at(-1)?.seq ?? after
      }
      return { count, more: fit > count, sample }
    },

    async stats(endpointId, sinceMs = clock.now() - statsMs) {
      await endpoints.get(endpointId)
      return selectStats(db, endpointId, new Date(sinceMs))
    },
  }
}
