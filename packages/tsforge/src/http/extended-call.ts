import { createHash } from 'node:crypto'
import type { Actor, RequestContext } from '../kernel/context.ts'
import type { AroundCall, RenderedAnswer } from './feature.ts'
import type { Route } from './route.ts'
import type { Behind } from './unit.ts'

// Imported, `node:http` would load all that it exports, the client of `fetch` with it: 20 ms and 13 MiB.
const { validateHeaderName, validateHeaderValue } = process.getBuiltinModule('node:http')

/** Headers that a gate cannot add: they frame the answer, or cannot be one line of a list. */
const ownOfExchange = new Set(['connection', 'content-length', 'set-cookie', 'transfer-encoding', 'x-request-id'])

/** What the gates and the around of a route see of an exchange, and what they leave on it. */
export class ExtendedCall implements AroundCall {
  readonly route: Route
  params: unknown = undefined
  query: unknown = undefined
  body: unknown = undefined
  /** The body as it came; kept only where an around may ask for its hash. */
  bytes: Buffer | undefined = undefined
  /** Name, value, name, value; names in lower case, each once. */
  readonly added: string[] = []
  readonly #exchange: Behind
  /** The handler has begun. */
  worked = false
  #listeners: ((status: number, worked: boolean) => void)[] = []
  #status: number | undefined = undefined

  constructor(exchange: Behind, route: Route) {
    this.#exchange = exchange
    this.route = route
  }

  get ip(): string {
    return this.#exchange.ip
  }
  get actor(): Actor {
    return this.#exchange.unit.actor
  }
  get tenantId(): string | null {
    return this.#exchange.unit.tenantId
  }
  get context(): RequestContext {
    return this.#exchange.unit
  }
  get signal(): AbortSignal {
    return this.#exchange.signal
  }
  get target(): string {
    return this.#exchange.req.url ?? ''
  }
  /** Nobody waits for the answer any more. */
  get over(): boolean {
    return this.#status !== undefined || this.#exchange.res.destroyed
  }

  header(name: string): string | undefined {
    const value = this.#exchange.req.headers[name.toLowerCase()]
    return Array.isArray(value) ? value.join(', ') : value
  }

  addHeader(name: string, value: string): void {
    const at = this.#place(name, value)
    const { added } = this
    added[at + 1] = added[at + 1] === undefined ? value : `${added[at + 1]!}, ${value}`
  }

  setHeader(name: string, value: string): void {
    this.added[this.#place(name, value) + 1] = value
  }

  /** Where the header stands, or will. Checked here, where the fault is: in the answer it would make even the error unsendable. */
  #place(rawName: string, value: string): number {
    validateHeaderName(rawName)
    validateHeaderValue(rawName, value)
    const name = rawName.toLowerCase()
    if (ownOfExchange.has(name)) throw new TypeError(`a gate cannot add the header "${name}"`)
    const { added } = this
    for (let at = 0; at < added.length; at += 2) if (added[at] === name) return at
    return added.push(name) - 1
  }

  onEnd(listener: (status: number, worked: boolean) => void): void {
    // A gate that was slower than its caller's patience still gets to release what it took.
    if (this.#status === undefined) this.#listeners.push(listener)
    else listener(this.#status, this.worked)
  }

  /** Tells all listeners; returns what they threw. */
  end(status: number): unknown[] {
    const listeners = this.#listeners
    this.#status = status
    this.#listeners = []
    const faults: unknown[] = []
    for (const listener of listeners) {
      try {
        listener(status, this.worked)
      } catch (error) {
        faults.push(error)
      }
    }
    return faults
  }

  render(value: unknown): RenderedAnswer {
    return this.#exchange.render(value)
  }

  bodyHash(): string {
    const [mediaType = ''] = (this.header('content-type') ?? '').split(';')
    const hash = createHash('sha256').update(`${mediaType.trim().toLowerCase()}\n`)
    return (this.bytes === undefined ? hash : hash.update(this.bytes)).digest('hex')
  }
}
