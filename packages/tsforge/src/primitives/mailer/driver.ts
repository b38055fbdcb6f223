import type { CheckedMessage } from './message.ts'

export interface Envelope {
  readonly from: string
  /** Bcc among them, those left out that may not get it. */
  readonly to: readonly string[]
}

/** A mail on its way. */
export interface OutgoingMail {
  readonly envelope: Envelope
  /** With angle brackets. */
  readonly messageId: string
  /** RFC 5322, signed, lines ended by CR LF. */
  readonly raw: Buffer
  /** What it was made from. */
  readonly message: CheckedMessage
}

export interface DeliverOptions {
  readonly signal?: AbortSignal
  /**
   * Awaited before the mail is handed over: whoever takes it cannot have accepted it before this has resolved. When it
   * rejects, nothing is handed over and `deliver` rejects with the same.
   */
  readonly beforeHandOver?: () => Promise<void>
}

export interface Refusal {
  readonly address: string
  /** The same mail would be refused again. */
  readonly permanent: boolean
  /** Of SMTP (RFC 5321), e.g. 550. */
  readonly code: number | undefined
  readonly response: string
  /** When to try again, where the server says or means something. */
  readonly retryAfterMs?: number
}

export interface Delivery {
  readonly accepted: readonly string[]
  /** Nothing was sent when all of them are refused. */
  readonly refused: readonly Refusal[]
  /** The last answer, for the log. */
  readonly response: string
}

/** A mail that a driver has kept in place of sending it. */
export interface KeptMail extends OutgoingMail {
  readonly id: string
  readonly at: Date
}

/** Newest first. */
export interface Inbox {
  readonly mails: readonly KeptMail[]
  /** Another number after every change. */
  readonly version: number
  get(id: string): KeptMail | undefined
  /** False when there is none. */
  remove(id: string): boolean
  clear(): void
}

export interface MailCapabilities {
  /** Mails reach people. */
  readonly delivers: boolean
}

/**
 * What can take a mail. Fails with `mailer.rejected` (never again), `mailer.unavailable` and `mailer.misconfigured` (nothing
 * was sent), `mailer.outcome_unknown` (all of it was handed over and nobody answered).
 */
export interface MailDriver {
  /** For logs and metrics. */
  readonly name: string
  readonly capabilities: MailCapabilities
  /** Of a driver that keeps mails. */
  readonly inbox?: Inbox
  deliver(mail: OutgoingMail, options: DeliverOptions): Promise<Delivery>
  /** Looks whether it could deliver: connects and signs in, and sends nothing. */
  verify(signal?: AbortSignal): Promise<void>
  /** Ends when mails under way have ended. */
  close(): Promise<void>
}
