import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'

/** One event of a stream, as a browser would tell it. */
export interface StreamedEvent {
  /** The last id that was seen, on this event or before. */
  readonly id: string
  readonly event: string
  readonly data: string
}

export interface EventStreamOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly token?: string
  readonly tenant?: string
  /** Sent as `Last-Event-ID`. */
  readonly lastEventId?: string | undefined
}

/** A reader of server-sent events that does not come back by itself. */
export interface EventStream extends AsyncDisposable {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** Body of an answer that is no stream. */
  readonly body: unknown
  /** Events so far. */
  readonly events: readonly StreamedEvent[]
  /** Everything that came, as text. */
  readonly text: string
  readonly lastEventId: string
  /** Milliseconds to wait, as the server last said. */
  readonly retryMs: number | undefined
  /** The next event that was not asked for yet; `undefined` when the stream has ended before. */
  next(): Promise<StreamedEvent | undefined>
  /** Resolves when the server, or something between, has ended it. */
  readonly ended: Promise<void>
  /** Goes away without a word. */
  cut(): void
  /** Takes nothing more from the connection until `resume`. */
  pause(): void
  resume(): void
}

/** Opens a stream; resolves with its head. Parses as https://html.spec.whatwg.org/multipage/server-sent-events.html says. */
export function openEventStream(url: string, options: EventStreamOptions = {}): Promise<EventStream> {
  const { headers = {}, token, tenant, lastEventId } = options
  return new Promise((resolve, reject) => {
    const req = request(url, {
      agent: false,
      headers: {
        accept: 'text/event-stream, application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(tenant !== undefined && { 'x-tenant-id': tenant }),
        ...(lastEventId !== undefined && lastEventId !== '' && { 'last-event-id': lastEventId }),
        ...headers,
      },
    })
    req.once('error', reject)
    req.once('response', (answer) => {
      if (answer.headers['content-type'] === 'text/event-stream')
        return resolve(new Reader(answer, lastEventId ?? '', () => void req.destroy()))
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => (body += text))
      answer.once('end', () => {
        const reader = new Reader(answer, '', () => void req.destroy())
        resolve(Object.assign(reader, { body: body === '' ? undefined : (JSON.parse(body) as unknown) }))
      })
    })
    req.end()
  })
}

class Reader implements EventStream {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: unknown = undefined
  readonly events: StreamedEvent[] = []
  readonly ended: Promise<void>
  text = ''
  lastEventId: string
  retryMs: number | undefined
  readonly #answer: IncomingMessage
  readonly #cut: () => void
  readonly #waiting: (() => void)[] = []
  #over = false
  #taken = 0
  #rest = ''
  #id: string
  #event = ''
  #data: string[] = []

  constructor(answer: IncomingMessage, lastEventId: string, cut: () => void) {
    this.status = answer.statusCode ?? 0
    this.headers = answer.headers
    this.lastEventId = this.#id = lastEventId
    this.#answer = answer
    this.#cut = cut
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    answer.setEncoding('utf8')
    answer.on('data', (text: string) => this.#take(text))
    answer.on('error', () => {})
    answer.once('close', () => {
      this.#over = true
      this.#tell()
      resolve()
    })
    if (answer.readableEnded) this.#over = true
  }

  async next(): Promise<StreamedEvent | undefined> {
    while (this.#taken >= this.events.length) {
      if (this.#over) return undefined
      await new Promise<void>((go) => this.#waiting.push(go))
    }
    return this.events[this.#taken++]
  }

  cut(): void {
    this.#cut()
  }

  pause(): void {
    this.#answer.pause()
  }

  resume(): void {
    this.#answer.resume()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cut()
    if (!this.#over) await this.ended
  }

  #tell(): void {
    for (const go of this.#waiting.splice(0)) go()
  }

  #take(text: string): void {
    this.text += text
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) this.#line(line)
  }

  #line(line: string): void {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    if (colon === 0) return
    const name = colon === -1 ? line : line.slice(0, colon)
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'id') this.#id = value
    else if (name === 'event') this.#event = value
    else if (name === 'data') this.#data.push(value)
    else if (name === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value)
  }

  #dispatch(): void {
    // Not before: a frame that was cut has not happened.
    this.lastEventId = this.#id
    const [event, data] = [this.#event || 'message', this.#data.join('\n')]
    const any = this.#data.length > 0
    this.#event = ''
    this.#data = []
    if (!any) return
    this.events.push({ id: this.lastEventId, event, data })
    this.#tell()
  }
}
