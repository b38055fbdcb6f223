import type { Cache } from 'tsforge/cache'
import type { Db, Queryable } from 'tsforge/db'
import { createRepository } from 'tsforge/db/repository'
import type { Events, EventType } from 'tsforge/events'
import { createCursors } from 'tsforge/http'
import type { Idempotency } from 'tsforge/idempotency'
import type { Toolbox } from 'tsforge/plugin'
import type { NoteFact } from './note.events.ts'
import { notes } from './note.table.ts'

interface Needs {
  readonly cache: Cache
  readonly db: Db
  readonly events: Events
  readonly idempotency: Idempotency
}

export interface NoteCounts {
  readonly total: number
  readonly pinned: number
}

/** What the routes work with: the rows, the seal of the list's pages, what makes a write safe to repeat, and counts. */
export type NoteService = ReturnType<typeof createNoteService>

export function createNoteService({ cache, db, events, idempotency, clock, log, secrets }: Toolbox<unknown> & Needs) {
  const repository = createRepository(notes, db, { clock })
  const counts = cache.namespace<NoteCounts>('notes.counts', { perTenant: true, ttl: '1m', stale: '10s' })
  return {
    clock,
    db,
    idempotency,
    repository,
    cursors: createCursors(secrets),
    /** In the transaction that does it: whoever listens hears of it exactly if it happened. */
    tell: (tx: Queryable, type: EventType<NoteFact>, { id, title, pinned }: NoteFact) =>
      events.emit(tx, type, { id, title, pinned }),
    /** Counted at most once a minute and tenant while nothing changes. */
    count: () =>
      counts.getOrSet(
        'all',
        async () => ({
          // `db` is the primary: a replica that lags would count the old rows for a minute.
          total: await repository.count({}, {}, db),
          pinned: await repository.count({ pinned: true }, {}, db),
        }),
        { tags: ['notes'] },
      ),
    /** To be called after the commit: a reader in between would count the old rows again. */
    changed: () =>
      counts.invalidateTags(['notes']).catch((err: unknown) => log.warn({ err }, 'old counts of notes may be served')),
  }
}
