import { BoundedMap } from '../kernel/bounded-map.ts'

/** Longer header values are not remembered: nobody sends them twice. */
const maxLength = 512

/**
 * Remembers what `compute` made of the header values seen lately, so that the few spellings which nearly all
 * callers send are parsed once. Hostile variety cannot grow it beyond `capacity`.
 */
export function remembering<T>(compute: (text: string) => T, capacity = 256): (text: string) => T {
  const results = new BoundedMap<{ readonly value: T }>({ entries: capacity })
  // Often it is the one before: comparing is cheaper than hashing a text that has just come in.
  let last: string | undefined
  let lastValue: T
  return (text) => {
    if (text === last) return lastValue
    let known = results.get(text)
    if (known === undefined) {
      known = { value: compute(text) }
      if (text.length > maxLength) return known.value
      results.set(text, known)
    }
    last = text
    return (lastValue = known.value)
  }
}
