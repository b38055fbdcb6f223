import { randomUUID } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { currentContext } from '../../kernel/context.ts'
import type { Log } from '../../kernel/log.ts'
import { within } from '../db/index.ts'
import type { Db, Queryable } from '../db/index.ts'
import { defineJob, Discard, handle, RetryAfter } from '../jobs/index.ts'
import type { Job, JobCall, JobHandler, Jobs } from '../jobs/index.ts'
import type { Dispatch, Dispatched } from './dispatch.ts'
import type { Refusal } from './driver.ts'
import { mailerErrors } from './errors.ts'
import type { Later, LaterOptions, SendState } from './mailer.ts'
import type { CheckedMessage } from './message.ts'
import { claimSend, giveUpSend, handOverSend, insertSend, settleSend } from './send-repository.ts'
import type { SendChange } from './send-repository.ts'
import { fromStored, toStored } from './stored-message.ts'

/** Sends one mail of `sendLater`. Two days and more of attempts, as mail servers do. */
export const mailSend: Job<{ readonly key: string }> = defineJob<{ readonly key: string }>({
  kind: 'mail.send',
  maxAttempts: 30,
  timeoutMs: 300_000,
  backoff: { baseMs: 15_000, capMs: 4 * 3_600_000 },
})

export interface LaterParts {
  readonly db: Db
  readonly jobs: Jobs
  readonly clock: Clock
  readonly log: Log
  readonly dispatch: Dispatch
}

export async function addLater(
  { db, jobs, clock }: Pick<LaterParts, 'db' | 'jobs' | 'clock'>,
  message: CheckedMessage,
  { key, delayMs, runAt, onUnknown = 'accept' }: LaterOptions,
  tx?: Queryable,
): Promise<Later> {
  const context = currentContext()
  const added = await within(db, tx, async (t) => {
    const isNew = await insertSend(t, {
      key,
      onUnknown,
      messageId: message.messageId,
      message: toStored(message),
      recipients: recipientsOf(message),
      tenantId: context?.tenantId ?? null,
      by: context?.actor.id ?? null,
      now: new Date(clock.now()),
    })
    const when = { ...(delayMs !== undefined && { delayMs }), ...(runAt !== undefined && { runAt }) }
    if (isNew) await jobs.enqueue(mailSend, { key }, when, t)
    return isNew
  })
  return { key, messageId: message.messageId, added }
}

export function sendLaterHandler(parts: LaterParts): JobHandler {
  return handle(mailSend, (call) => run(parts, call))
}

/** Everybody who gets the mail, each once. */
export function recipientsOf({ to, cc, bcc }: CheckedMessage): string[] {
  return [...new Set([...to, ...cc, ...bcc].map(({ address }) => address))]
}

/** Another run has taken the mail: what it comes to is not ours to tell. */
class Taken extends Error {}

/**
 * One attempt. The row is `handed` before the line that ends the mail is sent: while it is not, the server cannot have
 * accepted anything, and sending again is safe. From there on only an answer, or the policy, decides.
 */
async function run(
  { db, clock, dispatch }: LaterParts,
  { payload: { key }, job, signal, log }: JobCall<{ readonly key: string }>,
): Promise<{ readonly state: SendState | 'taken' }> {
  const now = (): Date => new Date(clock.now())
  const claim = randomUUID()
  const claimed = await claimSend(db, key, claim, now())
  if (claimed === undefined) {
    if (!(await giveUpSend(db, key, now()))) return { state: 'taken' }
    log.warn({ key }, 'the answer to a mail was lost; it counts as sent')
    return { state: 'unknown' }
  }
  const settle = async (change: SendChange): Promise<{ readonly state: SendState | 'taken' }> =>
    (await settleSend(db, key, claim, change, now())) ? { state: change.state } : { state: 'taken' }
  const beforeHandOver = async (): Promise<void> => {
    if (!(await handOverSend(db, key, claim, now()))) throw new Taken()
  }
  const last = job.attempt >= job.maxAttempts
  try {
    const message = fromStored(claimed.message)
    const delivery = await dispatch.send(message, claimed.recipients, claimed.tenantId, { signal, beforeHandOver })
    const waiting = delivery.refused.filter(({ permanent }) => !permanent)
    if (waiting.length === 0 || last) return await finish(settle, delivery, waiting)
    const [{ response }] = waiting as [Refusal]
    await settle({ state: 'queued', recipients: waiting.map(({ address }) => address), error: response })
    throw later(
      waiting.map(({ retryAfterMs }) => retryAfterMs ?? 0).reduce((a, b) => Math.max(a, b)),
      response,
    )
  } catch (error) {
    if (error instanceof Taken) return { state: 'taken' }
    if (error instanceof RetryAfter || error instanceof Discard) throw error
    if (mailerErrors.is(error, 'mailer.outcome_unknown')) return await afterSilence(error)
    const text = told(error)
    if (mailerErrors.is(error, 'mailer.rejected') || mailerErrors.is(error, 'mailer.too_large')) {
      await settle({ state: 'failed', error: text })
      throw new Discard(text, { cause: error })
    }
    await settle({ state: last ? 'failed' : 'queued', error: text })
    const wait = mailerErrors.is(error) ? error.retryAfterMs : undefined
    throw wait === undefined ? error : later(wait, text)
  }

  async function afterSilence(error: unknown): Promise<{ readonly state: SendState | 'taken' }> {
    const state = await giveUpSend(db, key, now())
    if (state) {
      log.warn({ key, err: error }, 'the answer to a mail was lost; it counts as sent')
      return { state: 'unknown' }
    }
    // Its row stays handed: the next attempt sends it again.
    if (last) await settle({ state: 'failed', error: told(error) })
    throw error
  }
}

async function finish(
  settle: (change: SendChange) => Promise<{ readonly state: SendState | 'taken' }>,
  { accepted, refused, suppressed, response }: Dispatched,
  waiting: readonly Refusal[],
): Promise<{ readonly state: SendState | 'taken' }> {
  const error = refused.map((each) => `${each.address}: ${each.response}`).join('\n') || null
  const recipients = waiting.map(({ address }) => address)
  if (accepted.length > 0) return settle({ state: 'accepted', response, error, recipients })
  if (refused.length === 0 && suppressed.length > 0) return settle({ state: 'suppressed', recipients })
  await settle({ state: 'failed', error, response })
  throw new Discard(error ?? 'nobody took the mail')
}

/** A minute at least, so that a server that asks for patience gets it. */
function later(ms: number, reason: string): Error {
  return ms === 0 ? new Error(reason) : new RetryAfter(Math.max(ms, 1000), reason)
}

function told(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { message?: string } }
  return (cause?.message ?? message ?? String(error)).slice(0, 1000)
}
