import type { Delivery, MailDriver } from '../driver.ts'
import { mailerErrors } from '../errors.ts'

/**
 * Tries one driver after the other until one takes the mail. Only where nothing has been sent for certain: a mail that was
 * handed over, or refused for good, goes to nobody else.
 */
export function failover(drivers: readonly [MailDriver, ...MailDriver[]]): MailDriver {
  const inbox = drivers.find((driver) => driver.inbox !== undefined)?.inbox
  return {
    name: 'failover',
    capabilities: { delivers: drivers.some(({ capabilities }) => capabilities.delivers) },
    ...(inbox !== undefined && { inbox }),
    async deliver(mail, options): Promise<Delivery> {
      const causes: unknown[] = []
      for (const driver of drivers) {
        options.signal?.throwIfAborted()
        try {
          const delivery = await driver.deliver(mail, options)
          const temporary = delivery.accepted.length === 0 && delivery.refused.every(({ permanent }) => !permanent)
          if (!temporary || driver === drivers.at(-1)) return delivery
        } catch (error) {
          const unsent = mailerErrors.is(error, 'mailer.unavailable') || mailerErrors.is(error, 'mailer.misconfigured')
          if (!unsent) throw error
          causes.push(error)
        }
      }
      throw mailerErrors.error('mailer.unavailable', { cause: new AggregateError(causes, 'no server took the mail') })
    },
    async verify(signal) {
      const results = await Promise.allSettled(drivers.map((driver) => driver.verify(signal)))
      const failed = results.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []))
      // The operator wants to know of a reserve that is none before it is needed.
      if (failed.length > 0) throw failed[0]
    },
    async close() {
      await Promise.all(drivers.map((driver) => driver.close()))
    },
  }
}
