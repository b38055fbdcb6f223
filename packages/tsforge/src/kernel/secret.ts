import { timingSafeEqual } from 'node:crypto'
/**
 * A value that must not be printed. Logs, `JSON.stringify` and template strings show `[secret]`,
 * `util.inspect` an empty object; only `reveal()` gives it away, so that each place that does can be found.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }
}

const commonWords =
  /change[-_ ]?(me|this|it)|replace[-_ ]?(me|this|with)|your[-_ ](own|secret|key|password|token)|place[-_ ]?holder|example|insecure|do[-_ ]?not[-_ ]?use|not[-_ ]?(a[-_ ])?secret|dummy|sample|todo|fixme|xxxx|<[^>]*>/i
const weakWords =
  /pass(word|wd|phrase)?|secret|admin|root|test(ing)?|dev(elopment)?|default|qwerty|letmein|welcome|key|token|jwt|super|very|long|tsforge|forge|prod(uction)?|local|hello|world|postgres|user|for|the|app|this|with|and/gi

/** Whether `value` reads like something a sample file or a tutorial would hold. */
export function isPlaceholder(value: string): boolean {
  return commonWords.test(value)
}

/**
 * Why `value` is too easy to guess for a key of the app's own, or `undefined`. Judges what can be seen:
 * length, variety, repetition, runs such as `abcdef`, and common words.
 */
export function weakness(value: string, minLength = 32): string | undefined {
  const length = [...value].length
  if (length < minLength) return `is ${length} characters long and needs at least ${minLength}`
  const variety = new Set(value).size
  if (variety === 1) return 'is a single character repeated'
  if (isPlaceholder(value)) return 'looks like a placeholder'
  if (variety < Math.min(8, minLength / 2)) return `uses only ${variety} different characters`
  if (repeats(value)) return 'repeats one short piece'
  if (isRun(value)) return 'is a run of neighbouring characters'
  if (wordLetters(value) * 2 >= value.length) return 'is made of common words'
  return undefined
}

function wordLetters(value: string): number {
  let letters = 0
  for (const [word] of value.matchAll(weakWords)) letters += word.length
  return letters
}

/** A text that is a piece of at most a quarter of its length, again and again. */
function repeats(value: string): boolean {
  for (let size = 1; size <= Math.min(16, value.length / 4); size++) {
    let same = true
    for (let i = size; i < value.length && same; i++) same = value[i] === value[i - size]
    if (same) return true
  }
  return false
}

function isRun(value: string): boolean {
  let steps = 0
  for (let i = 1; i < value.length; i++) {
    if (Math.abs(value.charCodeAt(i) - value.charCodeAt(i - 1)) === 1) steps++
  }
  return steps >= (value.length - 1) * 0.8
}

/** Whether both are the same bytes (of a MAC, a digest, a password), in a time that tells nothing but their lengths. */
export function equalBytes(expected: Uint8Array, given: Uint8Array): boolean {
  return expected.length === given.length && timingSafeEqual(expected, given)
}
