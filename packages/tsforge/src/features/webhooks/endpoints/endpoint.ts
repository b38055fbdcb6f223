/**
 * `standard`: Standard Webhooks, HMAC (`v1`). `standard_ed25519`: the same, asymmetric (`v1a`). `timestamped`: Stripe's form
 * `t=…,v1=…`, in `Webhook-Signature`.
 */
export type SignatureForm = 'standard' | 'standard_ed25519' | 'timestamped'
/** `standard`: `{"type","timestamp","data"}`. `cloudevents`: CloudEvents 1.0 in structured mode. */
export type BodyFormat = 'standard' | 'cloudevents'
/** `manual`: by whoever may. `gone`: it answered 410. `failing`: nothing but failures for too long. */
export type DisabledReason = 'manual' | 'gone' | 'failing'

export interface Endpoint {
  readonly id: string
  readonly tenantId: string
  readonly url: string
  readonly description: string
  readonly events: readonly string[]
  readonly signature: SignatureForm
  readonly format: BodyFormat
  /** Their values are shown to nobody. */
  readonly headerNames: readonly string[]
  /** Attempts per second. `null`: no limit. */
  readonly rate: number | null
  /** Attempts at the same time. `null`: `FORGE_WEBHOOKS_CONCURRENCY`. */
  readonly concurrency: number | null
  /** One after the other, in the order of the events: one that fails holds up those behind it. */
  readonly ordered: boolean
  readonly enabled: boolean
  readonly disabledReason: DisabledReason | null
  readonly disabledAt: Date | null
  readonly metadata: Readonly<Record<string, unknown>>
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

export interface EndpointPatch {
  readonly url?: string
  readonly description?: string
  /** Kinds of events, `order.*` for all that begin so, `*` for all. */
  readonly events?: readonly string[]
  readonly format?: BodyFormat
  /** Replaces all. Sent with each attempt. */
  readonly headers?: Readonly<Record<string, string>>
  readonly rate?: number | null
  readonly concurrency?: number | null
  readonly ordered?: boolean
  readonly enabled?: boolean
  readonly metadata?: Readonly<Record<string, unknown>>
}

export interface NewEndpoint extends EndpointPatch {
  readonly url: string
  readonly events: readonly string[]
  /** Stays as it is. Default `standard`. */
  readonly signature?: SignatureForm
  /** Default: one is made. */
  readonly secret?: string
}

/** What receivers verify with: the shared secret, or the public half of a pair. */
export interface EndpointSecret {
  readonly secret: string | null
  readonly publicKey: string | null
  /** When it signs no more; `null`: it is the current one. */
  readonly until: Date | null
}
