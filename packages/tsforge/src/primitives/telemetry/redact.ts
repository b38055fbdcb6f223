import { ForgeError } from '../../kernel/errors.ts'

const hidden = '[redacted]'
/** Compared without case, `-` and `_`, anywhere in a key. */
const secretKey =
  /authorization|cookie|passw(or)?d|passphrase|secret|token|apikey|privatekey|credential|signature|otpcode|recoverycode|databaseurl|connectionstring|^(dsn|jwt|otp|pin)$/
/** Keys that name a secret without holding one. */
const harmlessKey = /(id|ids|type|kind|count|ttl|ms|at|name|length|hash|expiry|expires)$/

const maxDepth = 6
const maxItems = 100
/** Of one call: depth and width alone would let entangled objects (a socket, a request) grow to millions. */
const maxValues = 2_000
const maxText = 16_384

const keyCache = new Map<string, boolean>()

function isSecretKey(key: string): boolean {
  const known = keyCache.get(key)
  if (known !== undefined) return known
  const plain = key.toLowerCase().replaceAll(/[-_]/g, '')
  const secret = secretKey.test(plain) && !harmlessKey.test(plain)
  // Keys come from code; the bound is for the odd object whose keys are data.
  if (keyCache.size < 1000) keyCache.set(key, secret)
  return secret
}

/**
 * A copy of `fields` that is safe and cheap to print: values under keys such as `authorization`, `cookie`,
 * `password`, `token` and `secret` are replaced, errors become plain objects without the parameters of
 * queries, and depth, width, texts and the number of values are bounded, so that no line grows without limit.
 */
export function redact(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return copy(fields, 0, { left: maxValues }) as Record<string, unknown>
}

interface Budget {
  left: number
}

function copy(value: unknown, depth: number, budget: Budget): unknown {
  if (--budget.left < 0) return '[…]'
  if (typeof value === 'string') return hideUserinfo(cut(value))
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Error) return describe(value, depth, budget)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (depth >= maxDepth) return '[deep]'
  if (Array.isArray(value)) {
    const items = value.slice(0, maxItems).map((item) => copy(item, depth + 1, budget))
    return value.length > maxItems ? [...items, `[${value.length - maxItems} more]`] : items
  }
  if (value instanceof Map || value instanceof Set) return copy([...value], depth, budget)
  const own = 'toJSON' in value && typeof value.toJSON === 'function' ? (value.toJSON as () => unknown)() : value
  if (typeof own !== 'object' || own === null) return copy(own, depth + 1, budget)
  const result: Record<string, unknown> = {}
  let count = 0
  for (const [key, item] of Object.entries(own)) {
    if (++count > maxItems || budget.left <= 0) {
      result['…'] = `[${Object.keys(own).length - count + 1} more]`
      break
    }
    result[key] = item !== undefined && item !== null && isSecretKey(key) ? hidden : copy(item, depth + 1, budget)
  }
  return result
}

/** Facts about an error that hold no user data. `detail` of a database error does, so it is left out. */
function describe(error: Error, depth: number, budget: Budget): Record<string, unknown> {
  const { code, errno, syscall, severity, table, constraint } = error as Error & Record<string, unknown>
  const result: Record<string, unknown> = {
    type: error.name,
    message: hideUserinfo(cut(error.message)),
    stack: hideUserinfo(cut(error.stack ?? '')),
  }
  for (const [key, value] of Object.entries({ code, errno, syscall, severity, table, constraint })) {
    if (typeof value === 'string' || typeof value === 'number') result[key] = value
  }
  if (error instanceof ForgeError && error.meta !== undefined) result['meta'] = copy(error.meta, depth + 1, budget)
  if (depth < maxDepth) {
    if (error.cause !== undefined) result['cause'] = copy(error.cause, depth + 1, budget)
    if (error instanceof AggregateError) result['errors'] = copy(error.errors, depth + 1, budget)
  }
  return result
}

function cut(text: string): string {
  return text.length > maxText ? `${text.slice(0, maxText).toWellFormed()}… [${text.length - maxText} more]` : text
}

function hideUserinfo(text: string): string {
  return text.includes('://') ? text.replace(/(:\/\/[^\s/?#:@]*):[^\s/?#@]*@/g, `$1:${hidden}@`) : text
}
