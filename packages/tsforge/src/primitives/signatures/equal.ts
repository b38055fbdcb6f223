import { timingSafeEqual } from 'node:crypto'

/**
 * Compares texts in a time that tells nothing of the expected one but its length. Texts, not what they decode to: base64 has
 * several spellings of the same bytes.
 */
export function equalTexts(expected: string, given: string): boolean {
  if (given.length !== expected.length) return false
  const ours = Buffer.from(expected)
  const theirs = Buffer.from(given)
  return ours.length === theirs.length && timingSafeEqual(ours, theirs)
}
