/** Milliseconds of each unit that a duration may be written in. */
const unitMs: Readonly<Record<DurationUnit, number>> = {
  w: 604_800_000,
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
}

export type DurationUnit = 'w' | 'd' | 'h' | 'm' | 's' | 'ms'

/** A duration as code writes it: a number of milliseconds, `'15m'` or `'1h30m'`. */
export type Duration = number | `${number}${DurationUnit}` | `${number}${DurationUnit}${number}${DurationUnit}`

const maxTextLength = 64

/**
 * Milliseconds of `'250ms'`, `'15m'`, `'1h30m'`, `'1.5h'`; units `w d h m s ms`, largest first, each once.
 * A number is milliseconds already. Text without a unit is refused (30 of what?), but for `'0'`.
 * Throws an `Error` that says what would be right.
 */
export function parseDuration(value: Duration | string): number {
  if (typeof value === 'number') {
    if (!Number.isFinite(value) || value < 0) throw new Error('must be a number of milliseconds, zero or more')
    return value
  }
  const text = value.trim().toLowerCase()
  if (text === '0') return 0
  const ms = text.length > maxTextLength ? undefined : sumParts(text)
  if (ms === undefined) throw new Error('must be a duration such as 250ms, 30s, 15m, 1h30m or 7d')
  if (!Number.isSafeInteger(ms)) throw new Error('must be a whole number of milliseconds, not beyond 285,000 years')
  return ms
}

function sumParts(text: string): number | undefined {
  const part = /(\d+(?:\.\d+)?)(ms|[wdhms])/y
  let total = 0
  let smallest = Number.POSITIVE_INFINITY
  while (part.lastIndex < text.length) {
    const match = part.exec(text)
    if (match === null) return undefined
    const factor = unitMs[match[2] as DurationUnit]
    if (factor >= smallest) return undefined
    smallest = factor
    // 0.1 + 0.2 style residue must not make "1.1s" a fraction of a millisecond.
    total += Number((Number(match[1]) * factor).toPrecision(15))
  }
  return smallest === Number.POSITIVE_INFINITY ? undefined : total
}

/** The shortest text that `parseDuration` reads back as the same number: `5400000` is `'1h30m'`. */
export function formatDuration(ms: number): string {
  if (!Number.isSafeInteger(ms) || ms < 0)
    throw new RangeError('a duration is a whole number of milliseconds, zero or more')
  if (ms === 0) return '0ms'
  let rest = ms
  let text = ''
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / unitMs[unit])
    if (count > 0) text += `${count}${unit}`
    rest -= count * unitMs[unit]
  }
  return text
}

const sizes: Readonly<Record<SizeUnit, number>> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3, tb: 1024 ** 4 }

export type SizeUnit = 'b' | 'kb' | 'mb' | 'gb' | 'tb'

/** A size as code writes it: a number of bytes, or `'64kb'`. */
export type Bytes = number | `${number}${SizeUnit}`

/** Bytes of `'512'`, `'64kb'`, `'1.5mb'`; 1 kb is 1024 bytes (`kib` means the same). Throws an `Error` that says what would be right. */
export function parseBytes(value: Bytes | string): number {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) throw new Error('must be a whole number of bytes, zero or more')
    return value
  }
  const text = value.trim().toLowerCase()
  const match = text.length > maxTextLength ? null : /^(\d+(?:\.\d+)?) ?(b|[kmgt]i?b)?$/.exec(text)
  if (match === null) throw new Error('must be a size such as 65536, 64kb, 1mb or 2gb')
  const unit = (match[2] ?? 'b').replace('ib', 'b') as SizeUnit
  const bytes = Number(match[1]) * sizes[unit]
  if (!Number.isSafeInteger(bytes)) throw new Error('must be a whole number of bytes')
  return bytes
}

/** The shortest text that `parseBytes` reads back as the same number: `1048576` is `'1mb'`. */
export function formatBytes(bytes: number): string {
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError('a size is a whole number of bytes, zero or more')
  for (const unit of ['tb', 'gb', 'mb', 'kb'] as const) {
    if (bytes > 0 && bytes % sizes[unit] === 0) return `${bytes / sizes[unit]}${unit}`
  }
  return `${bytes}b`
}
