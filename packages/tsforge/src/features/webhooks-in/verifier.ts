import type { Log } from '../../kernel/log.ts'
import type { Egress } from '../../primitives/egress/index.ts'
import type {
  Refusal,
  SignatureKey,
  SignatureScheme,
  SignedRequest,
  Verdict,
} from '../../primitives/signatures/index.ts'

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
  /** Called by GET before the answer, and nothing else happens: how Amazon SNS makes sure of an address. The verifier vouches for it. */
  readonly confirm?: string | undefined
}

/** `raw`: without the envelope that carries the signature. */
export type WebhookRefusal = Refusal | 'raw'
export type WebhookVerdict = Verdict | { readonly ok: false; readonly reason: WebhookRefusal }

/** What a scheme has at hand that must ask others before it can tell. */
export interface VerifierParts {
  readonly egress: Pick<Egress, 'fetch'>
  readonly log: Log
}

/** What verifies: a scheme of tsforge/signatures, or one that senders alone can sign for, perhaps with keys that are fetched. */
export interface WebhookScheme extends Pick<SignatureScheme, 'name' | 'signatureHeaders' | 'key'> {
  /** `WWW-Authenticate` of its refusals, for senders that show who they are only when they are asked. */
  readonly challenge?: string
  /** Never throws for what a stranger sent; throwing or rejecting with `webhooks_in.unavailable` answers 503. */
  verify(
    keys: readonly SignatureKey[],
    request: SignedRequest,
    parts: VerifierParts,
  ): WebhookVerdict | Promise<WebhookVerdict>
}

/** How webhooks of one kind of sender are verified and told apart. */
export interface WebhookVerifier<Scheme extends WebhookScheme = WebhookScheme> {
  readonly scheme: Scheme
  describe(request: VerifiedRequest): Description
}
