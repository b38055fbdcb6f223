import { getHeapStatistics } from 'node:v8'

const mebibyte = 2 ** 20
const lookEvery = mebibyte
/** As far as V8 lets buffers grow since it last swept (its soft limit of external memory): this alone is beyond it. */
const beyondLimit = 64 * mebibyte

let unseen = 0
let least = Number.POSITIVE_INFINITY
let refused = false

/**
 * To be told of all bytes that are read. Each piece of a body is a buffer outside of V8's heap and dead as soon as its
 * reader is done with it, but V8 begins to look for dead ones only when 64 MB have gathered, and tens more come while it
 * looks. So once `tolerated` bytes have gathered, V8 is told of 64 MB more, for a moment and without a page of them being
 * touched: it then begins its usual marking, beside the running program.
 */
export function bytesRead(length: number, tolerated: number): void {
  unseen += length
  if (unseen < lookEvery || refused) return
  unseen = 0
  const external = getHeapStatistics().external_memory
  least = Math.min(least, external)
  if (external - least < tolerated) return
  least = external
  try {
    new ArrayBuffer(beyondLimit).transfer(0)
  } catch {
    // A process whose address space is limited: asking again would only cost.
    refused = true
  }
}
