import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { anonymous } from '../kernel/context.ts'
import type { Actor, RequestContext, TraceContext } from '../kernel/context.ts'
import type { RenderedAnswer } from './feature.ts'
import type { ExpectedVersion } from './precondition.ts'
import type { Call } from './route.ts'
import type { Standing } from './standing.ts'

/** The exchange behind a call, as far as a call looks at it. */
export interface Behind {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly unit: RequestUnit
  readonly route: object
  readonly ip: string
  readonly signal: AbortSignal
  readonly standing: Standing
  render(value: unknown): RenderedAnswer
  exposeRaw(): { readonly request: FastifyRequest; readonly reply: FastifyReply }
}

/** The context of one request. Its signal is made when somebody looks at it: most never do. */
export class RequestUnit implements RequestContext {
  readonly requestId: string
  actor: Actor = anonymous
  tenantId: string | null = null
  locale: string
  trace: TraceContext | undefined
  wrote = false
  readonly kind: object
  #exchange: Behind | undefined
  #signal: AbortSignal | undefined

  constructor(exchange: Behind, requestId: string, locale: string, trace: TraceContext | undefined) {
    this.#exchange = exchange
    this.kind = exchange.route
    this.requestId = requestId
    this.locale = locale
    this.trace = trace
  }

  get signal(): AbortSignal {
    return (this.#signal ??= this.#exchange?.signal ?? AbortSignal.abort())
  }

  /**
   * Lets go of the request once it is answered. Timers and promises that began in it keep the context for longer, and
   * with it all of the request would outlive the young generation: twice the memory under load.
   */
  end(): void {
    this.#exchange = undefined
  }
}

/** What a handler receives. */
export class RouteCall implements Call {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
  readonly expected: ExpectedVersion | undefined
  readonly context: RequestUnit
  readonly #exchange: Behind

  constructor(exchange: Behind, params: unknown, query: unknown, body: unknown, expected: ExpectedVersion | undefined) {
    this.#exchange = exchange
    this.context = exchange.unit
    this.params = params
    this.query = query
    this.body = body
    this.expected = expected
  }

  get actor(): Actor {
    return this.context.actor
  }
  get tenantId(): string | null {
    return this.context.tenantId
  }
  get ip(): string {
    return this.#exchange.ip
  }
  get userAgent(): string | undefined {
    return this.#exchange.req.headers['user-agent']
  }
  get signal(): AbortSignal {
    return this.#exchange.signal
  }
  get standing(): Standing {
    return this.#exchange.standing
  }
  get raw(): { readonly request: FastifyRequest; readonly reply: FastifyReply } {
    return this.#exchange.exposeRaw()
  }

  header(name: string): string | undefined {
    const value = this.#exchange.req.headers[name.toLowerCase()]
    return Array.isArray(value) ? value.join(', ') : value
  }
}
