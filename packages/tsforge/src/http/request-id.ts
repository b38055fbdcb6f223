import { randomFillSync } from 'node:crypto'

const safe = /^[A-Za-z0-9][A-Za-z0-9._:+/=-]{0,127}$/

/** Whether a caller's id may enter logs and answers: 1..128 harmless characters. */
export function isRequestId(value: string): boolean {
  return safe.test(value)
}

const bytes = 16
const pool = Buffer.allocUnsafeSlow(bytes * 256)
let at = pool.length

/** A new id: 32 hexadecimal digits, 128 random bits. Randomness is drawn for 256 ids at a time. */
export function newRequestId(): string {
  if (at === pool.length) {
    randomFillSync(pool)
    at = 0
  }
  return pool.toString('hex', at, (at += bytes))
}
