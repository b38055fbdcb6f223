const namePattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

export function isSubscriptionName(text: unknown): text is string {
  return typeof text === 'string' && namePattern.test(text)
}

/** What a Node timer and an `integer` column hold. */
export const longestMs: number = 2 ** 31 - 1

export function isCount(value: unknown, most: number): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most
}
