/** What happens to values on their way in and out. */
export type CacheValues =
  /** Nothing: from memory everybody gets the same reference, and must not change it. */
  | 'shared'
  /** Plain objects and arrays are frozen, deeply, on their way in: who changes one gets a TypeError. */
  | 'frozen'
  /** Everybody gets a copy of their own (`structuredClone`), which costs time at every hit. */
  | 'cloned'

type Copy = (value: unknown) => unknown

/** How a value goes in. */
export function inward(values: CacheValues): Copy {
  return values === 'cloned' ? structuredClone : values === 'frozen' ? freeze : same
}

/** How a value goes out; undefined for as it is. */
export function outward(values: CacheValues): Copy | undefined {
  return values === 'cloned' ? structuredClone : undefined
}

const same: Copy = (value) => value

/** Freezes plain objects and arrays below `value`. Maps, Sets, Dates and buffers cannot be frozen. */
function freeze(value: unknown): unknown {
  const left: unknown[] = [value]
  while (left.length > 0) {
    const part = left.pop()
    if (typeof part !== 'object' || part === null || Object.isFrozen(part) || ArrayBuffer.isView(part)) continue
    Object.freeze(part)
    left.push(...Object.values(part))
  }
  return value
}
