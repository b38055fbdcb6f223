import type { Slice, PageRequest } from '../../kernel/page.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import type { MailFeedback } from './feedback.ts'

export type SuppressionReason = 'unsubscribed' | 'bounced' | 'complained' | 'manual'

/** An address that may not get mails. */
export interface Suppression {
  readonly id: string
  /** `null`: of all tenants. */
  readonly tenantId: string | null
  /** In lower case. */
  readonly address: string
  /** `null`: all kinds of mails. */
  readonly category: string | null
  readonly reason: SuppressionReason
  readonly detail: string | null
  readonly createdAt: Date
}

export interface NewSuppression {
  readonly address: string
  /** Default: all kinds of mails, those that belong to what somebody did too. */
  readonly category?: string
  /** Default `manual`. */
  readonly reason?: SuppressionReason
  readonly detail?: string
  /** Default: the tenant of the unit of work. `null`: all. */
  readonly tenantId?: string | null
}

/** For whom a link unsubscribes. */
export interface Subscription {
  readonly address: string
  readonly category: string
  readonly tenantId: string | null
}

/** Who may not get mails, and how people say so. The mailer asks it for every mail. */
export interface Mail {
  /** Gives the entry that is there already, where there is one. */
  suppress(entry: NewSuppression, tx?: Queryable): Promise<Suppression>
  /** Of the tenant of the unit of work; outside of any, of those for all tenants. Fails with `mail.suppression_not_found`. */
  release(id: string, tx?: Queryable): Promise<void>
  /** Those of the tenant of the unit of work, or outside of any those for all; newest first unless the page says otherwise. */
  list(page: PageRequest): Promise<Slice<Suppression>>
  /** Whether a mail of this kind would not be sent to the address. */
  isSuppressed(address: string, category?: string): Promise<boolean>
  /**
   * Link that shows a page, whose button (and the POST of mail programs, RFC 8058) unsubscribes; it never ends. Fails with
   * `mail.url_missing`.
   */
  unsubscribeUrl(subscription: Subscription): string
  /** Whom a link is for. Throws `mail.link_invalid`. */
  readLink(token: string): Subscription
  /** Takes in what a provider tells: dead addresses and complaints are suppressed for all tenants. Gives how many were new. */
  report(feedback: readonly MailFeedback[], tx?: Queryable): Promise<number>
}

export const mailPort: Port<Mail> = port<Mail>('mail', () => import('./plugin.ts').then((m) => m.mail()))
