import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import { unpack } from './answer.ts'
import type { Answer, Kept } from './answer.ts'
import type { Claim, IdempotencyDriver, NewClaim } from './driver.ts'
import { idempotencyErrors } from './errors.ts'
import { eventOf, keyReused, workRecovered } from './events.ts'
import type { KeyedRequest } from './idempotency.ts'
import type { IdempotencyMeters } from './meters.ts'
import type { IdempotencyOptions } from './options.ts'
import type { Seal } from './seal.ts'
import type { WaitingRoom } from './waiting.ts'

/** The work is the caller's to do. */
export interface Taken {
  readonly id: string
  readonly token: string
}

export type Found =
  | ({ readonly kind: 'mine' } & Taken)
  | { readonly kind: 'answered'; readonly answer: Answer }
  | { readonly kind: 'unprotected' }

interface ClaimingParts {
  readonly driver: IdempotencyDriver
  readonly options: Omit<IdempotencyOptions, 'driver'>
  readonly clock: Clock
  readonly log: Log
  readonly meters: IdempotencyMeters
  readonly seal: Seal
  readonly room: WaitingRoom
}

/** When to come again while the first request is at work, or the store is away. */
const comeAgainMs = 1_000

/** Finds out whose turn it is: claims the id, waits for whoever has it, or says why neither is possible. */
export function claiming(parts: ClaimingParts): (request: KeyedRequest, id: string, token: string) => Promise<Found> {
  const { driver, options, clock, log, meters, seal, room } = parts
  let away = false

  /** What this look found; `undefined` when somebody else is at work. */
  const look = async (request: KeyedRequest, id: string, claim: NewClaim): Promise<Found | undefined> => {
    const found = await driver.claim(id, claim)
    if (found.state === 'claimed') return { kind: 'mine', id, token: claim.token }
    const kept = read(request, id, found)
    if (kept !== undefined) {
      if ('answer' in kept) return { kind: 'answered', answer: kept.answer }
      // The effect has committed and its holder lives: the answer is about to come.
      if (kept.gone === 'lost' && found.leaseLeftMs > 0) return undefined
      meters.requests.gone.add()
      throw idempotencyErrors.error('idempotency.answer_gone', { meta: { reason: kept.gone } })
    }
    if (found.state !== 'running' || found.leaseLeftMs > 0) return undefined
    if (!(await driver.takeOver(id, found.token, claim))) return undefined
    meters.recovered.add()
    log.warn({ operation: request.operation }, 'work under an idempotency key was orphaned and is done again')
    workRecovered.publish(eventOf(request))
    return { kind: 'mine', id, token: claim.token }
  }

  /** What is stored, once it is known to belong to this very request. */
  const read = (request: KeyedRequest, id: string, found: Exclude<Claim, { state: 'claimed' }>): Kept | undefined => {
    let fingerprint: string
    let kept: Kept | undefined
    try {
      fingerprint = seal.openRequest(id, found.request)
      if (found.state === 'settled') kept = unpack(seal.openAnswer(id, found.answer))
    } catch (error) {
      // Whether it is the same request cannot be told, so it is neither answered nor carried out.
      meters.requests.gone.add()
      throw idempotencyErrors.error('idempotency.answer_gone', { meta: { reason: 'unreadable' }, cause: error })
    }
    if (fingerprint === request.fingerprint) return kept
    meters.requests.reused.add()
    keyReused.publish(eventOf(request))
    throw idempotencyErrors.error('idempotency.key_reused')
  }

  const lookSafely = async (request: KeyedRequest, id: string, claim: NewClaim): Promise<Found | undefined> => {
    try {
      const found = await look(request, id, claim)
      if (away) log.info({ driver: driver.name }, 'the store of idempotency keys is back')
      away = false
      return found
    } catch (error) {
      if (isVerdict(error)) throw error
      if (!away) log.warn({ err: error, driver: driver.name, policy: options.onLoss }, 'no store of idempotency keys')
      away = true
      meters.requests[options.onLoss === 'open' ? 'unprotected' : 'unavailable'].add()
      if (options.onLoss === 'open') return { kind: 'unprotected' }
      throw idempotencyErrors.error('idempotency.unavailable', { cause: error, retryAfterMs: comeAgainMs })
    }
  }

  const wait = async (request: KeyedRequest, id: string, claim: NewClaim): Promise<Found | undefined> => {
    const until = clock.monotonic() + options.waitMs
    for (let n = 0; ; n++) {
      const left = until - clock.monotonic()
      if (left <= 0) return undefined
      await room.pause(id, Math.min(left, room.pauseMs(n)), request.signal)
      const found = await lookSafely(request, id, claim)
      if (found !== undefined) return found
    }
  }

  return async (request, id, token) => {
    const claim: NewClaim = {
      token,
      request: seal.request(id, request.fingerprint),
      leaseMs: options.leaseMs,
      ttlMs: options.ttlMs,
    }
    let found = await lookSafely(request, id, claim)
    if (found === undefined && options.waitMs > 0 && room.enter(id)) {
      try {
        found = await wait(request, id, claim)
      } finally {
        room.leave(id)
      }
    }
    if (found !== undefined) return found
    meters.requests.in_progress.add()
    throw idempotencyErrors.error('idempotency.in_progress', { retryAfterMs: comeAgainMs })
  }
}

/** Decided about the request, as opposed to what a store that is away throws. */
function isVerdict(error: unknown): boolean {
  return idempotencyErrors.is(error, 'idempotency.key_reused') || idempotencyErrors.is(error, 'idempotency.answer_gone')
}
