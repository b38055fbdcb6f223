import { createHash } from 'node:crypto'
import { systemClock } from '../../kernel/clock.ts'
import type { Clock } from '../../kernel/clock.ts'
import { currentContext } from '../../kernel/context.ts'
import { silentLog } from '../../kernel/log.ts'
import type { Log } from '../../kernel/log.ts'
import type { Metrics } from '../../kernel/metrics.ts'
import type { Db } from '../db/index.ts'
import type { JobHandler, Jobs } from '../jobs/index.ts'
import { readAddress } from './addresses.ts'
import { checkMessage } from './checked-message.ts'
import { checkDkim } from './compose.ts'
import type { DkimSettings } from './compose.ts'
import { Dispatch } from './dispatch.ts'
import type { Dispatched } from './dispatch.ts'
import type { MailDriver } from './driver.ts'
import { mailerErrors } from './errors.ts'
import type { BulkOptions, BulkResult, LaterOptions, Mailer, Receipt } from './mailer.ts'
import type { Address, CheckedMessage, Message, MessageBody } from './message.ts'
import { checkLine, refuse } from './plain-text.ts'
import { addLater, recipientsOf, sendLaterHandler } from './send-later.ts'
import { deleteEndedSends, selectSend } from './send-repository.ts'

export interface MailerSettings {
  /** Sender of mails that name none. */
  readonly from?: Address
  readonly dkim?: DkimSettings
  /** Bytes of a mail, encoded. Default 20 MiB. */
  readonly limit?: number
  /** Both for `sendLater`. */
  readonly db?: Db
  readonly jobs?: Jobs
  readonly clock?: Clock
  readonly log?: Log
  readonly metrics?: Metrics
}

export interface RunningMailer extends Mailer {
  readonly handlers: readonly JobHandler[]
  /** Forgets keys whose mails ended before so many milliseconds. */
  forget(keepMs: number): Promise<number>
}

/** A mailer over `driver`. Throws `mailer.option_invalid`, and `mailer.message_invalid` for a sender that is none. */
export function createMailer(driver: MailDriver, settings: MailerSettings = {}): RunningMailer {
  const { from, dkim, limit = 20 * 2 ** 20, clock = systemClock, log = silentLog, db, jobs, metrics } = settings
  if (from !== undefined) readAddress('from', from)
  if (dkim !== undefined) checkDkim(dkim)
  const dispatch = new Dispatch({ driver, clock, dkim, limit, metrics })
  const check = (message: Message, id?: string): Promise<CheckedMessage> =>
    checkMessage(message, { from, now: clock.now(), limit, ...(id !== undefined && { id }) })
  const tenantId = (): string | null => currentContext()?.tenantId ?? null
  const durable = (): { readonly db: Db; readonly jobs: Jobs } => {
    if (db === undefined || jobs === undefined)
      throw mailerErrors.error('mailer.option_invalid', {
        meta: { option: 'jobs', reason: 'sendLater needs db and jobs' },
      })
    return { db, jobs }
  }

  const mailer: RunningMailer = {
    driver,
    inbox: driver.inbox,
    handlers: db === undefined || jobs === undefined ? [] : [sendLaterHandler({ db, jobs, clock, log, dispatch })],
    async send(message, { signal } = {}) {
      const checked = await check(message)
      const sent = await dispatch.send(
        checked,
        recipientsOf(checked),
        tenantId(),
        signal === undefined ? {} : { signal },
      )
      return receipt(checked, sent)
    },
    async sendLater(message, options, tx) {
      const parts = durable()
      checkLater(options)
      return addLater({ ...parts, clock }, await check(message, idOf(options.key)), options, tx)
    },
    sendMany: (recipients, make, options) => sendMany(mailer, recipients, make, options),
    async sent(key) {
      return selectSend(durable().db, key)
    },
    async preview(message) {
      const checked = dispatch.withUnsubscribe(await check(message), tenantId())
      return { message: checked, raw: await dispatch.raw(checked) }
    },
    screen(screen) {
      if (dispatch.screen !== undefined)
        throw mailerErrors.error('mailer.option_invalid', {
          meta: { option: 'screen', reason: 'there is one already' },
        })
      dispatch.screen = screen
      return () => {
        dispatch.screen = undefined
      }
    },
    async forget(keepMs) {
      const before = new Date(clock.now() - keepMs)
      for (let all = 0; ;) {
        const count = await deleteEndedSends(durable().db, before, 1000)
        all += count
        if (count < 1000) return all
      }
    },
    verify: (signal) => driver.verify(signal),
    close: () => driver.close(),
  }
  return mailer
}

function receipt({ messageId }: CheckedMessage, { accepted, refused, suppressed }: Dispatched): Receipt {
  if (accepted.length > 0 || refused.length === 0) return { messageId, accepted, refused, suppressed }
  const recipients = refused.map(({ address, code, response }) => `${address}: ${code ?? ''} ${response}`)
  const cause = new Error(recipients.join('\n'))
  if (refused.every(({ permanent }) => permanent)) throw mailerErrors.error('mailer.rejected', { cause })
  const wait = refused.map(({ retryAfterMs }) => retryAfterMs ?? 0).reduce((a, b) => Math.max(a, b))
  throw mailerErrors.error('mailer.unavailable', { cause, ...(wait > 0 && { retryAfterMs: wait }) })
}

/** Of a key: the same at each attempt, and on another machine; gives nothing of it away. */
function idOf(key: string): string {
  return createHash('sha256').update(`mail:${key}`).digest('hex').slice(0, 40)
}

function checkLater({ key, onUnknown, delayMs, runAt }: LaterOptions): void {
  checkLine('key', key, 200)
  if (key === '') refuse('key', 'is empty')
  if (onUnknown !== undefined && onUnknown !== 'accept' && onUnknown !== 'retry')
    refuse('onUnknown', 'must be accept or retry')
  if (delayMs !== undefined && runAt !== undefined) refuse('runAt', 'and delayMs exclude each other')
}

async function sendMany(
  mailer: Mailer,
  recipients: readonly Address[],
  make: MessageBody | ((recipient: Address, index: number) => MessageBody | Promise<MessageBody>),
  { key, concurrency = 5, signal }: BulkOptions = {},
): Promise<readonly BulkResult[]> {
  const results: BulkResult[] = []
  let next = 0
  const one = async (recipient: Address, index: number): Promise<BulkResult> => {
    try {
      signal?.throwIfAborted()
      const body: Message = typeof make === 'function' ? await make(recipient, index) : make
      for (const name of ['to', 'cc', 'bcc'] as const)
        if (body[name] !== undefined) refuse(name, 'is not for mails to many: each goes to one')
      const message = { ...body, to: recipient }
      if (Array.isArray(recipient)) refuse('to', 'must be one person')
      if (key !== undefined) return { recipient, later: await mailer.sendLater(message, { key: key(recipient) }) }
      return { recipient, receipt: await mailer.send(message, signal === undefined ? {} : { signal }) }
    } catch (error) {
      return { recipient, error }
    }
  }
  const work = async (): Promise<void> => {
    while (next < recipients.length) {
      const index = next++
      results[index] = await one(recipients[index]!, index)
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, Math.min(concurrency, recipients.length)) }, work))
  return results
}
