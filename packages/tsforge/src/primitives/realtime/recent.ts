import type { Delivered } from './deliveries.ts'
import type { Position } from './driver.ts'

/** The newest events, encoded: a reader who was cut a moment ago catches up without the store. */
export class Recent {
  readonly #maxBytes: number
  readonly #events: (Delivered & { readonly bytes: number })[] = []
  #bytes = 0
  /** Everything behind it is here. */
  #since: Position | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Forgets all; from now on everything behind `position` is told. */
  begin(position: Position): void {
    this.#events.length = 0
    this.#bytes = 0
    this.#since = position
  }

  push(event: Delivered): void {
    // What an event takes beside its bytes.
    let bytes = 200
    for (const { frame } of event.deliveries) bytes += frame?.length ?? 0
    this.#events.push({ ...event, bytes })
    this.#bytes += bytes
    if (this.#bytes <= this.#maxBytes) return
    let gone = 0
    // A quarter at once: moving what stays is then cheap.
    while (gone < this.#events.length && this.#bytes > this.#maxBytes * 0.75) this.#bytes -= this.#events[gone++]!.bytes
    this.#since = this.#events[gone - 1]!.sequence
    this.#events.splice(0, gone)
  }

  /** Up to `limit` events behind `position`; `undefined` when some of them may be here no more. */
  after(position: Position, limit: number): readonly Delivered[] | undefined {
    if (this.#since === undefined || position < this.#since) return undefined
    let low = 0
    let high = this.#events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#events[middle]!.sequence > position) high = middle
      else low = middle + 1
    }
    return this.#events.slice(low, low + limit)
  }
}
