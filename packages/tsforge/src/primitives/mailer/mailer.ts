import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { Queryable } from '../db/index.ts'
import type { Inbox, MailDriver, Refusal } from './driver.ts'
import type { Address, CheckedMessage, Message, MessageBody, Unsubscribe } from './message.ts'

/** What became of a mail. */
export interface Receipt {
  readonly messageId: string
  /** Addresses that the server has taken the mail for. */
  readonly accepted: readonly string[]
  readonly refused: readonly Refusal[]
  /** Addresses that may not get it: dead, complained, unsubscribed. */
  readonly suppressed: readonly string[]
}

export interface SendOptions {
  readonly signal?: AbortSignal
}

export interface LaterOptions {
  /**
   * One mail per key, whatever is repeated: names what the mail is about, e.g. `welcome:<user id>`. At most 200 characters. Kept
   * for `FORGE_MAILER_KEEP` after the mail has ended.
   */
  readonly key: string
  readonly delayMs?: number
  readonly runAt?: Date
  /**
   * When all of a mail was handed over and the answer was lost (or the process died between the two), nobody knows
   * whether it was accepted. `accept` (default) takes it for sent: never two mails, and very rarely none. `retry` sends it
   * again under the same Message-ID: never none, and two for readers whose server does not drop doubles.
   */
  readonly onUnknown?: 'accept' | 'retry'
}

export interface Later {
  readonly key: string
  readonly messageId: string
  /** False: there was a mail of this key already, and nothing was added. */
  readonly added: boolean
}

export type SendState = 'queued' | 'sending' | 'handed' | 'accepted' | 'unknown' | 'failed' | 'suppressed'

/** What is known of a mail of `sendLater`. */
export interface SendRecord {
  readonly key: string
  readonly state: SendState
  readonly messageId: string
  readonly tenantId: string | null
  /** Recipients that are still to be served. */
  readonly recipients: readonly string[]
  readonly attempts: number
  /** Why the last attempt failed. */
  readonly error: string | null
  readonly response: string | null
  readonly createdAt: Date
  readonly endedAt: Date | null
}

export interface BulkOptions extends SendOptions {
  /** Then each is sent by `sendLater` under its own key. */
  readonly key?: (recipient: Address) => string
  /** At the same time. Default 5. */
  readonly concurrency?: number
}

/** One for each recipient, in their order. */
export type BulkResult =
  | { readonly recipient: Address; readonly receipt: Receipt }
  | { readonly recipient: Address; readonly later: Later }
  | { readonly recipient: Address; readonly error: unknown }

/** Decides who may not get a mail, and makes the links to unsubscribe; the feature mail is one. */
export interface Screen {
  /** Which of `addresses` may not get mails of this kind. */
  suppressed(mail: {
    readonly addresses: readonly string[]
    readonly category: string | undefined
    readonly tenantId: string | null
  }): Promise<readonly string[]>
  unsubscribe(mail: {
    readonly address: string
    readonly category: string
    readonly tenantId: string | null
  }): Unsubscribe | undefined
}

/** Mails out. */
export interface Mailer {
  /**
   * Sends now. Fails with `mailer.message_invalid` and `mailer.too_large` (nothing was tried), `mailer.unavailable` and
   * `mailer.misconfigured` (nothing was sent), `mailer.rejected` (by no one, for good), `mailer.outcome_unknown`. When some recipients
   * are refused the mail is sent to the others and the receipt tells.
   */
  send(message: Message, options?: SendOptions): Promise<Receipt>
  /**
   * Sends by a job that tries again, once per key. In `tx` the mail exists when that commits and never when it does not.
   * Fails at once with what is wrong with the message.
   */
  sendLater(message: Message, options: LaterOptions, tx?: Queryable): Promise<Later>
  /** One mail for each: no recipient sees another. `make` may say something else to each. */
  sendMany(
    recipients: readonly Address[],
    make: MessageBody | ((recipient: Address, index: number) => MessageBody | Promise<MessageBody>),
    options?: BulkOptions,
  ): Promise<readonly BulkResult[]>
  /** What became of a mail of `sendLater`, while it is known. */
  sent(key: string): Promise<SendRecord | undefined>
  /** The mail as it would be sent. */
  preview(message: Message): Promise<{ readonly message: CheckedMessage; readonly raw: Buffer }>
  /** At most one; gives how to take it away again. */
  screen(screen: Screen): () => void
  readonly driver: MailDriver
  /** Where the driver keeps mails in place of sending them. */
  readonly inbox: Inbox | undefined
  /** Connects and signs in without sending. */
  verify(signal?: AbortSignal): Promise<void>
  close(): Promise<void>
}

export const mailerPort: Port<Mailer> = port<Mailer>('mailer', () => import('./plugin.ts').then((m) => m.mailer()))
