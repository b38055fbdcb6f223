import { hash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import type { Actor } from '../../kernel/context.ts'
import { randomToken } from '../../kernel/ids.ts'
import type { Db } from '../db/index.ts'
import { realtimeErrors } from './errors.ts'
import type { Ticket } from './realtime.ts'

const shape = /^st_[A-Za-z0-9_-]{43}$/

export interface TicketsParts {
  readonly db: Db
  readonly clock: Clock
  readonly ttlMs: number
}

/** Tickets are kept as hashes, for seconds, and vanish with their use: the one who deletes the row has it. */
export class Tickets {
  readonly #parts: TicketsParts

  constructor(parts: TicketsParts) {
    this.#parts = parts
  }

  async issue(actor: Actor, tenantId: string | null): Promise<Ticket> {
    const { db, clock, ttlMs } = this.#parts
    const now = clock.now()
    const ticket = `st_${randomToken(32)}`
    const expiresAt = new Date(Math.min(now + ttlMs, actor.expiresAt ?? Number.POSITIVE_INFINITY))
    const { tenantId: _, ...who } = actor
    // Each one takes some of those along that nobody came for.
    await db.query(
      `with gone as (delete from forge_realtime_tickets where hash in
         (select hash from forge_realtime_tickets where expires_at <= $4 limit 16 for update skip locked))
       insert into forge_realtime_tickets (hash, actor, expires_at) values ($1, $2, $3)`,
      [hashOf(ticket), JSON.stringify(tenantId === null ? who : { ...who, tenantId }), expiresAt, new Date(now)],
    )
    return { ticket, expiresAt }
  }

  async redeem(ticket: string): Promise<Actor> {
    if (!shape.test(ticket)) throw realtimeErrors.error('realtime.ticket_invalid')
    const { rows } = await this.#parts.db.query<{ actor: Actor; expiresAt: Date }>(
      'delete from forge_realtime_tickets where hash = $1 returning actor, expires_at as "expiresAt"',
      [hashOf(ticket)],
    )
    const found = rows[0]
    if (found === undefined || found.expiresAt.getTime() <= this.#parts.clock.now())
      throw realtimeErrors.error('realtime.ticket_invalid')
    return found.actor
  }
}

function hashOf(ticket: string): Buffer {
  return hash('sha256', ticket, 'buffer')
}
