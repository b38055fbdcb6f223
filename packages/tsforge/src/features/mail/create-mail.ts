import type { Clock } from '../../kernel/clock.ts'
import { currentContext } from '../../kernel/context.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type { Secrets } from '../../kernel/secrets.ts'
import type { Db, Queryable } from '../../primitives/db/index.ts'
import { addressKey, readAddress } from '../../primitives/mailer/index.ts'
import type { Screen } from '../../primitives/mailer/index.ts'
import { mailErrors } from './errors.ts'
import type { Mail, NewSuppression, Subscription, Suppression } from './mail.ts'
import {
  deleteSuppression,
  insertSuppression,
  selectEntry,
  selectSuppressed,
  selectSuppressions,
} from './suppression-repository.ts'

export const unsubscribePath = '/mail/unsubscribe'
const purpose = 'mail.unsubscribe'

export interface MailParts {
  readonly db: Db
  readonly clock: Clock
  readonly secrets: Secrets
  /** Under which people reach the app. */
  readonly origin: string | undefined
}

/** The service, and what the mailer asks it. */
export interface RunningMail extends Mail {
  readonly screen: Screen
}

export function createMail({ db, clock, secrets, origin }: MailParts): RunningMail {
  const tenant = (): string | null => currentContext()?.tenantId ?? null

  const insert = async (entry: NewSuppression, t: Queryable): Promise<{ entry: Suppression; added: boolean }> => {
    const wanted: Suppression = {
      id: uuidv7(),
      tenantId: entry.tenantId === undefined ? tenant() : entry.tenantId,
      address: addressKey(readAddress('address', { address: entry.address }).address),
      category: entry.category ?? null,
      reason: entry.reason ?? 'manual',
      detail: entry.detail?.slice(0, 500) ?? null,
      createdAt: new Date(clock.now()),
    }
    const added = await insertSuppression(t, wanted, currentContext()?.actor.id ?? null)
    return { entry: added ? wanted : ((await selectEntry(t, wanted)) ?? wanted), added }
  }

  const unsubscribeUrl = (subscription: Subscription): string => {
    if (origin === undefined) throw mailErrors.error('mail.url_missing')
    // Sealed, not signed: an address has no place in the logs of every proxy.
    const { tenantId, category, address } = subscription
    return `${origin}${unsubscribePath}?link=${secrets.seal(purpose, JSON.stringify([tenantId, category, address]))}`
  }

  return {
    suppress: async (entry, tx = db) => (await insert(entry, tx)).entry,
    async release(id, tx = db) {
      if (!(await deleteSuppression(tx, tenant(), id))) throw mailErrors.error('mail.suppression_not_found')
    },
    list: (page) => selectSuppressions(db, tenant(), page),
    async isSuppressed(address, category) {
      return (await selectSuppressed(db, [addressKey(address)], category ?? null, tenant())).length > 0
    },
    unsubscribeUrl,
    readLink(token) {
      try {
        const [tenantId, category, address] = JSON.parse(secrets.open(purpose, token).toString()) as [
          string | null,
          string,
          string,
        ]
        return { tenantId, category, address }
      } catch (cause) {
        throw mailErrors.error('mail.link_invalid', { cause })
      }
    },
    async report(feedback, tx = db) {
      let count = 0
      for (const { kind, permanent, address, detail } of feedback) {
        if (!permanent || !isAddress(address)) continue
        const reason = kind === 'complaint' ? 'complained' : 'bounced'
        const entry = { address, reason, tenantId: null, ...(detail !== undefined && { detail }) } as const
        if ((await insert(entry, tx)).added) count++
      }
      return count
    },
    screen: {
      async suppressed({ addresses, category, tenantId }) {
        const found = await selectSuppressed(db, addresses.map(addressKey), category ?? null, tenantId)
        return found.length === 0 ? [] : addresses.filter((address) => found.includes(addressKey(address)))
      },
      unsubscribe: (subscription) => ({ url: unsubscribeUrl(subscription) }),
    },
  }
}

/** What the mailer could not send to needs no entry; one such report must not stop the others. */
function isAddress(address: string): boolean {
  try {
    readAddress('address', { address })
    return true
  } catch {
    return false
  }
}
