/**
 * Remembers what `compute` made of the last `capacity` (approximately) distinct header values, so that the few
 * spellings which nearly all callers send are parsed once. Two generations: cheap, and hostile variety
 * cannot grow it.
 */
export function remembering<T>(compute: (text: string) => T, capacity = 256): (text: string) => T {
  let young = new Map<string, T>()
  let old = young
  return (text) => {
    const known = young.get(text)
    if (known !== undefined) return known
    const value = old.get(text) ?? compute(text)
    if (text.length <= 512) {
      if (young.size >= capacity) {
        old = young
        young = new Map()
      }
      young.set(text, value)
    }
    return value
  }
}
