import type { Clock } from '../../kernel/clock.ts'
import type { Counter, Metrics } from '../../kernel/metrics.ts'
import { unsubscribeHeaders } from './checked-message.ts'
import { compose, sign } from './compose.ts'
import type { DkimSettings } from './compose.ts'
import type { Delivery, DeliverOptions, MailDriver } from './driver.ts'
import { mailerErrors } from './errors.ts'
import { mailChannel } from './events.ts'
import type { MailEvent } from './events.ts'
import type { Screen } from './mailer.ts'
import type { CheckedMessage, Unsubscribe } from './message.ts'

export interface DispatchParts {
  readonly driver: MailDriver
  readonly clock: Clock
  readonly dkim: DkimSettings | undefined
  readonly limit: number
  readonly metrics: Metrics | undefined
}

export interface Dispatched extends Delivery {
  readonly suppressed: readonly string[]
}

/** From a checked mail to the driver: screened, composed, signed, counted. The same for mails of now and of later. */
export class Dispatch {
  readonly #parts: DispatchParts
  readonly #mails: Counter | undefined
  screen: Screen | undefined

  constructor(parts: DispatchParts) {
    this.#parts = parts
    this.#mails = parts.metrics?.counter('forge_mailer_mails_total', {
      help: 'Mails by what became of them',
      labelNames: ['driver', 'result'],
    })
  }

  async raw(message: CheckedMessage): Promise<Buffer> {
    const { dkim, limit } = this.#parts
    const composed = await compose(message)
    if (composed.length > limit) throw mailerErrors.error('mailer.too_large', { meta: { limit } })
    return dkim === undefined ? composed : sign(composed, dkim)
  }

  /** The link of a mail that can be unsubscribed from and does not bring its own. */
  withUnsubscribe(message: CheckedMessage, tenantId: string | null): CheckedMessage {
    const { category, headers, to } = message
    const address = to[0]?.address
    if (category === undefined || address === undefined || headers['List-Unsubscribe'] !== undefined) return message
    const link: Unsubscribe | undefined = this.screen?.unsubscribe({ address, category, tenantId })
    return link === undefined ? message : { ...message, headers: { ...headers, ...unsubscribeHeaders(link) } }
  }

  /** Sends to those of `recipients` who may get it. Fails as drivers do; who is refused is told. */
  async send(
    message: CheckedMessage,
    recipients: readonly string[],
    tenantId: string | null,
    options: DeliverOptions = {},
  ): Promise<Dispatched> {
    const { driver, clock } = this.#parts
    const { messageId, category } = message
    const began = clock.monotonic()
    const tell = (result: MailEvent['result'], error?: unknown): void => {
      this.#mails?.add(1, { driver: driver.name, result })
      if (!mailChannel.hasSubscribers) return
      mailChannel.publish({ result, messageId, driver: driver.name, durationMs: clock.monotonic() - began, error })
    }
    const suppressed = (await this.screen?.suppressed({ addresses: recipients, category, tenantId })) ?? []
    const to = recipients.filter((address) => !suppressed.includes(address))
    if (to.length === 0) {
      tell('suppressed')
      return { accepted: [], refused: [], response: '', suppressed }
    }
    try {
      const raw = await this.raw(this.withUnsubscribe(message, tenantId))
      const envelope = { from: message.from.address, to }
      const delivery = await driver.deliver({ envelope, messageId, raw, message }, options)
      const { accepted, refused } = delivery
      const permanent = refused.every((each) => each.permanent)
      if (accepted.length > 0) tell(refused.length > 0 ? 'partial' : 'sent')
      else tell(permanent ? 'rejected' : 'deferred', new Error(delivery.response))
      return { ...delivery, suppressed }
    } catch (error) {
      tell(resultOf(error), error)
      throw error
    }
  }
}

function resultOf(error: unknown): MailEvent['result'] {
  if (mailerErrors.is(error, 'mailer.rejected') || mailerErrors.is(error, 'mailer.too_large')) return 'rejected'
  if (mailerErrors.is(error, 'mailer.misconfigured')) return 'misconfigured'
  return mailerErrors.is(error, 'mailer.outcome_unknown') ? 'unknown' : 'deferred'
}
