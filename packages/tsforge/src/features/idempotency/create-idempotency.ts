import { randomUUID } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { currentContext } from '../../kernel/context.ts'
import type { RequestContext } from '../../kernel/context.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import { retry } from '../../kernel/resilience/retry.ts'
import type { Secrets } from '../../kernel/secrets.ts'
import { afterCommit } from '../../primitives/db/index.ts'
import type { Queryable } from '../../primitives/db/index.ts'
import { isFinal, pack, packGone } from './answer.ts'
import type { Answer } from './answer.ts'
import { claiming } from './claiming.ts'
import type { Taken } from './claiming.ts'
import type { IdempotencyDriver } from './driver.ts'
import { idempotencyErrors } from './errors.ts'
import { eventOf, leaseLost, requestReplayed } from './events.ts'
import type { KeyedRequest, Outcome, RunningIdempotency } from './idempotency.ts'
import { digest } from './key.ts'
import { createMeters } from './meters.ts'
import type { IdempotencyOptions } from './options.ts'
import { Run } from './run.ts'
import { createSeal } from './seal.ts'
import { startSweeping, sweep } from './sweep.ts'
import { WaitingRoom } from './waiting.ts'

export interface IdempotencyParts {
  readonly driver: IdempotencyDriver
  readonly options: Omit<IdempotencyOptions, 'driver'>
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
  readonly secrets: Secrets
}

/** Tries to store an answer whose effect is there already. */
const storeAttempts = 3
/** When to come again after `idempotency.lease_lost`. */
const comeAgainMs = 1_000

/** The facade over a driver: scopes, fingerprints, sealing, waiting, heartbeats and loss, once for all drivers. */
export function createIdempotency(parts: IdempotencyParts): RunningIdempotency {
  const { driver, options, clock, log } = parts
  const meters = createMeters(parts.metrics)
  const seal = createSeal(parts.secrets)
  const room = new WaitingRoom(clock, options.waiters)
  const runs = new Set<Run>()
  const byContext = new WeakMap<RequestContext, Run>()
  const claim = claiming({ driver, options, clock, log, meters, seal, room })
  let stopSweeping: () => Promise<void> = async () => {}

  /** Sealed for this id; an answer that is too large leaves only word that it was given. */
  const sealed = (id: string, packed: string): { readonly text: string; readonly whole: boolean } => {
    const whole = Buffer.byteLength(packed) <= options.answerBytes
    return { text: seal.answer(id, whole ? packed : packGone('too_large')), whole }
  }

  const store = async (run: Run, packed: string): Promise<boolean> => {
    const { text, whole } = sealed(run.id, packed)
    try {
      const held = await retry(() => driver.settle(run.id, run.token, text, options.ttlMs), {
        clock,
        attempts: storeAttempts,
        baseMs: 50,
      })
      if (!held) run.lose()
      meters.answers[held ? (whole ? 'stored' : 'too_large') : 'lost'].add()
      return held && whole
    } catch (error) {
      meters.answers.failed.add()
      log.error({ err: error }, 'the answer of a request with an idempotency key was not stored: it may run again')
      return false
    }
  }

  const release = async (run: Run): Promise<void> => {
    meters.answers.released.add()
    await driver
      .release(run.id, run.token)
      .catch((error: unknown) => log.warn({ err: error }, 'an idempotency key stays taken until its lease ends'))
  }

  const carryOut = async (request: KeyedRequest, taken: Taken, work: () => Promise<Answer>): Promise<Outcome> => {
    const run = new Run({
      ...taken,
      leaseMs: options.leaseMs,
      driver,
      clock,
      log,
      render: request.render?.bind(request),
      onLost: () => leaseLost.publish(eventOf(request)),
    })
    runs.add(run)
    byContext.set(request.context, run)
    meters.requests.executed.add()
    try {
      const answer = await work()
      if (!isFinal(answer)) {
        await release(run)
        return { answer, source: 'executed', kept: true }
      }
      const packed = pack(answer)
      if (packed === run.committed) meters.answers.committed.add()
      return { answer, source: 'executed', kept: packed === run.committed || (await store(run, packed)) }
    } catch (error) {
      await release(run)
      throw error
    } finally {
      runs.delete(run)
      byContext.delete(request.context)
      run.end()
      room.wake(run.id)
    }
  }

  return {
    async once(request, work) {
      const { tenantId, principal, key, fingerprint } = request
      const id = principal === null ? digest(1, tenantId, key, fingerprint) : digest(1, tenantId, principal, key, null)
      const found = await claim(request, id, randomUUID())
      if (found.kind === 'mine') return carryOut(request, found, work)
      if (found.kind === 'unprotected') return { answer: await work(), source: 'unprotected', kept: false }
      meters.requests.replayed.add()
      requestReplayed.publish(eventOf(request))
      return { answer: found.answer, source: 'replayed', kept: true }
    },

    async inTransaction(tx: Queryable, value?: unknown) {
      const context = currentContext()
      const run = context === undefined ? undefined : byContext.get(context)
      if (run === undefined) return
      const packed = value === undefined || run.render === undefined ? packGone('lost') : pack(run.render(value))
      const { text, whole } = sealed(run.id, packed)
      const held =
        !run.lost &&
        (driver.capabilities.transactional
          ? await driver.settle(run.id, run.token, text, options.ttlMs, tx)
          : await driver.extend(run.id, run.token, options.leaseMs))
      if (!held) {
        run.lose()
        throw idempotencyErrors.error('idempotency.lease_lost', { retryAfterMs: comeAgainMs })
      }
      if (driver.capabilities.transactional)
        afterCommit(
          tx,
          () => (run.committed = whole ? packed : undefined),
          // Nobody says when a foreign transaction commits: the answer is stored once more.
          () => {},
        )
    },

    keyFor(purpose) {
      const context = currentContext()
      const run = context === undefined ? undefined : byContext.get(context)
      return run === undefined ? undefined : digest('outside', run.id, purpose)
    },

    store: driver.name,
    get running() {
      return runs.size
    },
    get waiting() {
      return room.size
    },
    start() {
      stopSweeping = startSweeping({ driver, clock, log, swept: meters.swept })
    },
    async stop() {
      await stopSweeping()
      await driver.close()
    },
    sweep: () => sweep({ driver, swept: meters.swept }),
    ping: () => driver.ping(),
  }
}
