import type { Queryable } from '../db/index.ts'
import type { SendRecord, SendState } from './mailer.ts'
import type { StoredMessage } from './stored-message.ts'

export interface NewSend {
  readonly key: string
  readonly tenantId: string | null
  readonly onUnknown: 'accept' | 'retry'
  readonly messageId: string
  readonly message: StoredMessage
  readonly recipients: readonly string[]
  readonly by: string | null
  readonly now: Date
}

/** False when there is one of this key already. */
export async function insertSend(db: Queryable, send: NewSend): Promise<boolean> {
  const { key, tenantId, onUnknown, messageId, message, recipients, by, now } = send
  const { rowCount } = await db.query(
    `insert into forge_mailer_sends (key, tenant_id, state, on_unknown, message_id, message, recipients, created_at, created_by, updated_at)
     values ($1, $2, 'queued', $3, $4, $5, $6, $7, $8, $7) on conflict (key) do nothing`,
    [key, tenantId, onUnknown, messageId, JSON.stringify(message), recipients, now, by],
  )
  return rowCount === 1
}

export interface ClaimedSend {
  readonly message: StoredMessage
  readonly recipients: readonly string[]
  readonly tenantId: string | null
}

/** Takes the mail for one run, from a run that died too; nothing when it has ended, or when it is `handed` and stays so. */
export async function claimSend(
  db: Queryable,
  key: string,
  claim: string,
  now: Date,
): Promise<ClaimedSend | undefined> {
  const { rows } = await db.query<ClaimedSend>(
    `update forge_mailer_sends set state = 'sending', claim = $2, attempts = attempts + 1, updated_at = $3
     where key = $1 and message is not null and (state in ('queued', 'sending', 'failed') or (state = 'handed' and on_unknown = 'retry'))
     returning message, recipients, tenant_id as "tenantId"`,
    [key, claim, now],
  )
  return rows[0]
}

/** Writes down that the mail is being handed over. False when another run has taken it. */
export async function handOverSend(db: Queryable, key: string, claim: string, now: Date): Promise<boolean> {
  const { rowCount } = await db.query(
    `update forge_mailer_sends set state = 'handed', updated_at = $3
     where key = $1 and claim = $2 and state in ('sending', 'handed')`,
    [key, claim, now],
  )
  return rowCount === 1
}

export interface SendChange {
  readonly state: SendState
  readonly error?: string | null
  readonly response?: string | null
  /** Default: as they were. */
  readonly recipients?: readonly string[]
}

/** What has ended loses its content; a failed one keeps it for another try. */
export async function settleSend(
  db: Queryable,
  key: string,
  claim: string,
  { state, error = null, response = null, recipients }: SendChange,
  now: Date,
): Promise<boolean> {
  const { rowCount } = await db.query(
    `update forge_mailer_sends set state = $3, error = $4, response = $5, recipients = coalesce($6, recipients), updated_at = $7,
       ended_at = case when $3 in ('accepted', 'unknown', 'failed', 'suppressed') then $7::timestamptz end,
       message = case when $3 in ('accepted', 'unknown', 'suppressed') then null else message end
     where key = $1 and claim = $2 and state in ('sending', 'handed')`,
    [key, claim, state, error, response, recipients ?? null, now],
  )
  return rowCount === 1
}

/** The run that handed it over told nothing more: it counts as sent. */
export async function giveUpSend(db: Queryable, key: string, now: Date): Promise<boolean> {
  const { rowCount } = await db.query(
    `update forge_mailer_sends set state = 'unknown', message = null, updated_at = $2, ended_at = $2
     where key = $1 and state = 'handed' and on_unknown = 'accept'`,
    [key, now],
  )
  return rowCount === 1
}

export async function selectSend(db: Queryable, key: string): Promise<SendRecord | undefined> {
  const { rows } = await db.query<SendRecord>(
    `select key, state, message_id as "messageId", tenant_id as "tenantId", recipients, attempts, error, response,
       created_at as "createdAt", ended_at as "endedAt" from forge_mailer_sends where key = $1`,
    [key],
  )
  return rows[0]
}

/** Forgets mails that ended before. Gives how many. */
export async function deleteEndedSends(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from forge_mailer_sends where key in
       (select key from forge_mailer_sends where ended_at < $1 order by ended_at limit $2)`,
    [before, limit],
  )
  return rowCount ?? 0
}
