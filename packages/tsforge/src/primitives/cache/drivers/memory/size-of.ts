const word = 8
/** Slot, place in the map and list of one entry. */
export const entryBytes = 360

function textBytes(text: string): number {
  // V8 keeps a byte for each character when it can, else two.
  return 48 + (Buffer.byteLength(text) === text.length ? text.length : 2 * text.length)
}

/**
 * What a value takes in memory, estimated on the high side: V8 tells nobody. Parts that are met twice count once. Stops
 * counting at `limit`, so that a huge value costs no more than a large one.
 */
export function sizeOf(value: unknown, limit: number = Number.POSITIVE_INFINITY): number {
  if (typeof value === 'string') return textBytes(value)
  if (typeof value !== 'object' || value === null) return 2 * word
  if (ArrayBuffer.isView(value)) return bufferBytes(value)
  let bytes = 0
  const seen = new Set<object>()
  const left: object[] = [value]
  const add = (part: unknown): void => {
    bytes += word
    if (typeof part === 'string') bytes += textBytes(part)
    else if (typeof part === 'number') bytes += Number.isInteger(part) && Math.abs(part) < 2 ** 30 ? 0 : 2 * word
    else if (typeof part === 'bigint') bytes += 4 * word
    else if (typeof part === 'object' && part !== null && !seen.has(part)) {
      seen.add(part)
      left.push(part)
    }
  }
  seen.add(value)
  for (let part = left.pop(); part !== undefined && bytes <= limit; part = left.pop()) {
    bytes += 6 * word
    if (ArrayBuffer.isView(part)) bytes += bufferBytes(part)
    else if (part instanceof Date) bytes += 10 * word
    else if (part instanceof ArrayBuffer) bytes += part.byteLength
    else if (part instanceof Map)
      for (const [key, item] of part) {
        bytes += 4 * word
        add(key)
        add(item)
        if (bytes > limit) break
      }
    else if (part instanceof Set)
      for (const item of part) {
        bytes += 4 * word
        add(item)
        if (bytes > limit) break
      }
    else if (Array.isArray(part))
      for (const item of part) {
        add(item)
        if (bytes > limit) break
      }
    else
      for (const key of Object.keys(part)) {
        // The name is shared by all objects of the same shape, its place is not.
        add((part as Record<string, unknown>)[key])
        if (bytes > limit) break
      }
  }
  return bytes
}

/** A view keeps its whole buffer alive, but for slices of Node's shared pool. */
function bufferBytes(view: ArrayBufferView): number {
  return (
    24 * word +
    (Buffer.isBuffer(view) && view.buffer.byteLength === Buffer.poolSize ? view.byteLength : view.buffer.byteLength)
  )
}
