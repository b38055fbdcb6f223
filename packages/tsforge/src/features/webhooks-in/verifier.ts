import type { SignatureScheme } from '../../primitives/signatures/index.ts'

/** A request whose signature was right. */
export interface VerifiedRequest {
  /** Names in lower case. */
  readonly headers: Headers
  readonly body: Buffer
  /** The body as JSON; `undefined` when it is none. */
  readonly json: unknown
  /** The id that was signed along, where the scheme does so. */
  readonly signedId: string | undefined
}

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** What a request is about. */
export interface Description {
  /** Of the delivery, the same when the sender tries again. `undefined`: what was signed is its own id. */
  readonly id?: string | undefined
  /** Whether the id is part of what was signed. If not, the same signed bytes under a new id are a repetition all the same. */
  readonly signed?: boolean
  /** Kind of event, e.g. `invoice.paid`. */
  readonly event?: string | undefined
  /** Answered as it is, and nothing else happens: how Slack makes sure of an address. */
  readonly challenge?: string | undefined
}

/** How webhooks of one kind of sender are verified and told apart. */
export interface WebhookVerifier {
  readonly scheme: SignatureScheme
  describe(request: VerifiedRequest): Description
}
