import { positionOf } from '../../driver.ts'
import type { EventFault, LoggedEvent, NewEvent, Park, ParkedRecord, Place, Position, Retried } from '../../driver.ts'

/** A row of `forge_events_read`; without an id the last one. */
export interface LogRow {
  readonly window: number
  readonly seq: number
  readonly at: number | null
  readonly id: string | null
  readonly type: string
  readonly version: number
  readonly source: string
  readonly subject: string | null
  readonly key: string | null
  readonly tenant_id: string | null
  readonly actor: string | null
  readonly trace: string | null
  readonly data: unknown
}

export function eventOf(row: LogRow): LoggedEvent {
  const event: { -readonly [K in keyof LoggedEvent]: LoggedEvent[K] } = {
    specversion: '1.0',
    id: row.id!,
    source: row.source,
    type: row.type,
    time: new Date(row.at!).toISOString(),
    datacontenttype: 'application/json',
    data: row.data,
    dataversion: row.version,
    sequence: positionOf(row as Place),
  }
  if (row.subject !== null) event.subject = row.subject
  if (row.tenant_id !== null) event.tenantid = row.tenant_id
  if (row.actor !== null) event.actor = row.actor
  if (row.trace !== null) event.traceparent = row.trace
  if (row.key !== null) event.partitionkey = row.key
  return event
}

/** The JSON text that `forge_events_emit` takes; data goes in as it is. */
export function emitted(events: readonly NewEvent[]): string {
  return `[${events.map(one).join()}]`
}

function one({ id, type, version, source, subject, key, tenantId, actor, trace, data }: NewEvent): string {
  const head = JSON.stringify({ id, type, version, source, subject, key, tenant_id: tenantId, actor, trace })
  return `${head.slice(0, -1)},"data":${data}}`
}

export function parkText(parks: readonly Park[], placeOf: (position: Position) => Place): string | null {
  if (parks.length === 0) return null
  const rows = parks.map(({ event, attempt, delayMs, error, dead }) => {
    const { window, seq } = placeOf(event.sequence)
    const { id, type, tenantid, partitionkey } = event
    return {
      no: window,
      seq,
      id,
      type,
      tenant: tenantid,
      key: partitionkey,
      event,
      attempt,
      delay: delayMs,
      error,
      dead,
    }
  })
  return storable(JSON.stringify(rows))
}

export function retriedText(retried: readonly Retried[], placeOf: (position: Position) => Place): string | null {
  if (retried.length === 0) return null
  const rows = retried.map(({ position, as, delayMs, error }) => {
    const { window, seq } = placeOf(position)
    return { no: window, seq, state: as, delay: delayMs, error }
  })
  return storable(JSON.stringify(rows))
}

/** Errors of handlers may say anything; NUL and halves of characters cannot be stored. */
function storable(text: string): string {
  return text.includes('\\u') ? text.replaceAll(/(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/gi, '$1?') : text
}

export interface ParkedRow {
  readonly subscription: string
  readonly event: LoggedEvent
  readonly attempt: number
  readonly error: EventFault | null
  readonly parked: number
  readonly died: number | null
  readonly due: number | null
}

export function recordOf({ subscription, event, attempt, error, parked, died, due }: ParkedRow): ParkedRecord {
  return {
    subscription,
    event,
    attempt,
    state: died === null ? 'waiting' : 'dead',
    parkedAt: new Date(parked),
    diedAt: died === null ? undefined : new Date(died),
    dueAt: due === null ? undefined : new Date(due),
    error: error ?? undefined,
  }
}
