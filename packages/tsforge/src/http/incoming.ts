import { http } from './node-http.ts'

/** Takes a body as the parser finds it. */
export interface BodySink {
  /** `false`: wants no more of it. */
  data(chunk: Buffer): boolean
  end(): void
}

/**
 * A request whose body can go from the parser to its reader at once. As a stream it would wait for several ticks, which
 * is an eighth of what a small JSON request costs Node.
 */
export class Incoming extends http.IncomingMessage {
  #sink: BodySink | undefined = undefined
  #begun = false
  #delivered = false

  static {
    // A property in the types of Node, a getter in its code. Node clears up behind a request that has ended.
    Object.defineProperty(this.prototype, 'readableEnded', {
      get(this: Incoming) {
        return this.#delivered || Reflect.get(http.IncomingMessage.prototype, 'readableEnded', this)
      },
    })
  }

  /** Sends the whole body to `sink`. `false` when some of it is in the stream already: read that. */
  deliver(sink: BodySink): boolean {
    if (this.#begun) return false
    this.#sink = sink
    // Tells Node that somebody reads.
    this._read(0)
    return true
  }

  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    const sink = this.#sink
    if (sink === undefined) {
      this.#begun = true
      return super.push(chunk, encoding)
    }
    if (chunk === null) {
      this.#sink = undefined
      this.#delivered = true
      sink.end()
    } else if (!sink.data(chunk)) this.#sink = undefined
    return true
  }
}
