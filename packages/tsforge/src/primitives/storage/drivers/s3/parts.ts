/** S3 takes no more parts. */
const maxParts = 10_000

/** Bytes of a part, so that an object of `size` bytes has no more parts than S3 takes. All but the last are alike, as R2 wants. */
export function partBytesFor(size: number | undefined, partBytes: number): number {
  return Math.max(partBytes, Math.ceil((size ?? 0) / maxParts))
}

export interface Part {
  readonly bytes: Buffer
  readonly last: boolean
}

/**
 * The body in parts of `partBytes`, the last one shorter; an empty body is one empty part. `take` lends a buffer for each
 * part, which is the caller's again once the part is sent: a body of any length needs as much memory as its parts in flight.
 */
export async function* partsOf(
  body: AsyncIterable<Buffer>,
  partBytes: number,
  take: () => Promise<Buffer>,
): AsyncGenerator<Part> {
  let buffer = await take()
  let filled = 0
  for await (const piece of body) {
    for (let at = 0; at < piece.length;) {
      // Only now is it known that the full one is not the last.
      if (filled === partBytes) {
        yield { bytes: buffer, last: false }
        buffer = await take()
        filled = 0
      }
      const copied = piece.copy(buffer, filled, at, at + partBytes - filled)
      filled += copied
      at += copied
    }
  }
  yield { bytes: buffer.subarray(0, filled), last: true }
}

/** Buffers that are used again and again: at most `count`, made when first needed. */
export class Buffers {
  readonly #bytes: number
  #unmade: number
  readonly #free: Buffer[] = []
  readonly #waiting: ((buffer: Buffer) => void)[] = []

  constructor(count: number, bytes: number) {
    this.#unmade = count
    this.#bytes = bytes
  }

  async take(): Promise<Buffer> {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#unmade > 0) {
      this.#unmade--
      return Buffer.allocUnsafeSlow(this.#bytes)
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  give(buffer: Buffer): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#free.push(buffer)
    else waiting(buffer)
  }
}
