import type { Readable } from 'node:stream'
import type { Html } from './html.ts'

/** `ada@example.com`, `Ada Lovelace <ada@example.com>`, or in two parts. Exactly one person. */
export type Address = string | { readonly name?: string; readonly address: string }

export interface Attachment {
  /** Shown to people; never a path. */
  readonly filename: string
  /** Text is UTF-8. A stream is read once, when the mail is composed. */
  readonly content: string | Uint8Array | Readable
  /** Default: by the ending of the name. */
  readonly contentType?: string
  /** Shown in the HTML by `<img src="cid:…">` instead of being listed. */
  readonly cid?: string
}

export interface Unsubscribe {
  /** https; takes the POST of RFC 8058 without any login. */
  readonly url: string
  /** Address that takes mails which unsubscribe. */
  readonly mailto?: string
}

/** A mail as a product writes it. */
export interface Message {
  /** Default: `MAIL_FROM`. */
  readonly from?: Address
  readonly to?: Address | readonly Address[]
  readonly cc?: Address | readonly Address[]
  /** They get the mail, and nobody sees it. */
  readonly bcc?: Address | readonly Address[]
  readonly replyTo?: Address | readonly Address[]
  readonly subject: string
  /** Default: made from `html`. */
  readonly text?: string
  readonly html?: string | Html
  readonly attachments?: readonly Attachment[]
  /** Further headers; none of those that the mailer writes by itself. */
  readonly headers?: Readonly<Record<string, string>>
  /**
   * Kind of mail that its one recipient can unsubscribe from, e.g. `newsletter`. Absent: a mail that belongs to what
   * somebody did, which only a dead address or a complaint stops.
   */
  readonly category?: string
  /** Default: made by the feature mail for mails that have a category. */
  readonly unsubscribe?: Unsubscribe
  /** BCP 47, for `Content-Language`. */
  readonly locale?: string
}

/** Whom it goes to is said elsewhere. */
export type MessageBody = Omit<Message, 'to' | 'cc' | 'bcc'>

export interface Mailbox {
  readonly name: string
  /** ASCII; the domain in lower case and punycode. */
  readonly address: string
}

export interface CheckedAttachment {
  readonly filename: string
  readonly content: Buffer
  readonly contentType: string | undefined
  readonly cid: string | undefined
}

/** A mail that can be sent: every field looked at, nothing left to interpret. */
export interface CheckedMessage {
  readonly messageId: string
  readonly date: Date
  readonly from: Mailbox
  readonly to: readonly Mailbox[]
  readonly cc: readonly Mailbox[]
  readonly bcc: readonly Mailbox[]
  readonly replyTo: readonly Mailbox[]
  readonly subject: string
  readonly text: string
  readonly html: string | undefined
  readonly attachments: readonly CheckedAttachment[]
  readonly headers: Readonly<Record<string, string>>
  readonly category: string | undefined
}
