import { createSecureContext } from 'node:tls'
import type { Clock } from '../../kernel/clock.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Secrets } from '../../kernel/secrets.ts'
import type { Db } from '../../primitives/db/index.ts'
import type { ClientCertificate, Egress } from '../../primitives/egress/index.ts'
import { inTransaction } from '../../primitives/events/index.ts'
import type { Events, EventType, LoggedEvent, Subscription } from '../../primitives/events/index.ts'
import { handle } from '../../primitives/jobs/index.ts'
import type { JobHandler, Jobs } from '../../primitives/jobs/index.ts'
import { deliverer } from './deliveries/deliver.ts'
import { createDeliveries } from './deliveries/deliveries.ts'
import { deliverWebhook } from './deliveries/job.ts'
import { createEndpoints } from './endpoints/endpoints.ts'
import { createVault } from './endpoints/secrets.ts'
import { surveyEndpoints } from './endpoints/survey.ts'
import { webhooksErrors } from './errors.ts'
import { webhookEndpointDisabled, webhookTest } from './events.ts'
import { ofData, ofEvent } from './messages/body.ts'
import { fanOut } from './messages/fan-out.ts'
import { createMeters } from './meters.ts'
import type { WebhooksOptions } from './options.ts'
import { startSweeping } from './sweep.ts'
import type { Webhooks } from './webhooks.ts'

export interface WebhooksParts {
  readonly db: Db
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly secrets: Secrets
  readonly egress: Egress
  readonly events: Events
  readonly jobs: Jobs
  readonly options: WebhooksOptions
  /** What may leave the app, of all its events. */
  readonly types: readonly EventType<never>[]
  /** `source` of what `send` sends as CloudEvents. */
  readonly source: string
}

export interface RunningWebhooks extends Webhooks {
  readonly handlers: readonly JobHandler[]
  readonly subscription: Subscription
  begin(): void
  end(): Promise<void>
}

/** Throws `webhooks.certificate_incomplete`, `webhooks.certificate_invalid`. */
export function createWebhooks(parts: WebhooksParts): RunningWebhooks {
  const { db, clock, log, secrets, jobs, options, source } = parts
  const types: readonly EventType<never>[] = [
    ...new Map([...parts.types, webhookEndpointDisabled, webhookTest].map((each) => [each.type, each])).values(),
  ] as readonly EventType<never>[]
  const byType = new Map(types.map((each) => [each.type, each]))
  const vault = createVault(secrets)
  const meters = createMeters(parts.metrics)
  const limit = options.bodyBytes
  const fanning = { jobs, log, meters, now: () => new Date(clock.now()) }
  const endpoints = createEndpoints({ ...parts, vault, types, meters })
  const deliveries = createDeliveries({ ...parts, endpoints, fanOut: fanning })
  const deliver = deliverer({ ...parts, vault, meters, certificate: certificateOf(options) })
  let stopSweeping: (() => Promise<void>) | undefined

  return {
    ...endpoints,
    ...deliveries,
    survey: () => surveyEndpoints(db, vault),
    eventTypes: types,
    async send(tx, { tenantId, type, data, id = uuidv7() }) {
      const kind = byType.get(type)
      if (kind === undefined) throw webhooksErrors.error('webhooks.event_type_unknown', { meta: { type } })
      const time = new Date(clock.now()).toISOString()
      const message = await ofData(kind, { tenantId, id, data }, { source, time, limit })
      const counts = await fanOut(tx, [message], fanning)
      return { id, deliveries: counts.get(id) ?? 0 }
    },
    handlers: [handle(deliverWebhook, deliver)],
    subscription: inTransaction({
      name: 'webhooks',
      to: types.filter(({ type }) => type !== webhookTest.type),
      transaction: async (events, tx) => {
        const owned = (events as readonly LoggedEvent[]).filter(isOwned)
        await fanOut(
          tx,
          owned.map((event) => ofEvent(event, limit)),
          fanning,
        )
      },
    }),
    begin() {
      stopSweeping = startSweeping({ db, jobs, clock, log, retentionMs: options.retentionMs, swept: meters.swept })
    },
    async end() {
      await stopSweeping?.()
    },
  }
}

/** Events without a tenant are nobody's to hear. */
function isOwned(event: LoggedEvent): event is LoggedEvent & { readonly tenantid: string } {
  return event.tenantid !== undefined
}

function certificateOf({
  certificate: cert,
  certificateKey: key,
  certificateAuthority: ca,
}: WebhooksOptions): ClientCertificate | undefined {
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) throw webhooksErrors.error('webhooks.certificate_incomplete')
  const certificate = { cert, key: key.reveal(), ...(ca !== undefined && { ca }) }
  try {
    createSecureContext(certificate)
  } catch (cause) {
    throw webhooksErrors.error('webhooks.certificate_invalid', { cause })
  }
  return certificate
}
