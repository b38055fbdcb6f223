import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'

/** What the client shows of itself (mutual TLS), in PEM. */
export interface ClientCertificate {
  readonly cert: string
  readonly key: string
  /** Certificates to trust in place of the public ones. */
  readonly ca?: string
}

export interface EgressRequest {
  /** Default GET. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent byte for byte. */
  readonly body?: string | Uint8Array
  /** From the first look at the name to the last byte of the answer. Default `FORGE_EGRESS_TIMEOUT`. */
  readonly timeoutMs?: number
  /** Most bytes of the answer's body. Default `FORGE_EGRESS_RESPONSE_LIMIT`. */
  readonly responseBytes?: number
  /** Whether a longer body fails (default) or is cut there, and the connection with it. */
  readonly overflow?: 'fail' | 'clip'
  readonly certificate?: ClientCertificate
  readonly signal?: AbortSignal
}

/** An answer as it came: redirects are not followed, content encodings not undone. */
export interface EgressResponse {
  readonly status: number
  /** Names in lower case; repeated ones joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The body was longer. */
  readonly clipped: boolean
  /** The address that answered; `undefined` behind an egress proxy. */
  readonly address: string | undefined
  readonly durationMs: number
}

/** Calls to URLs that users gave: only public addresses, only some schemes and ports, bounded time and size. */
export interface Egress {
  /** @throws `egress.*`; what the caller's own signal says when that was the cause. */
  fetch(url: string, request?: EgressRequest): Promise<EgressResponse>
  /** Looks at the form of a URL alone and returns it normalised; for storing one. @throws `egress.*` with status 422. */
  check(url: string): URL
  /** `check`, and whether the host leads to public addresses now. Each `fetch` looks again. */
  verify(url: string): Promise<URL>
  close(): Promise<void>
}

/** Brings its plugin by itself. */
export const egressPort: Port<Egress> = port<Egress>('egress', () => import('./plugin.ts').then((m) => m.egress()))
