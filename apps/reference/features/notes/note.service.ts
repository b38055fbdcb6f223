import type { Db } from 'tsforge/db'
import { createRepository } from 'tsforge/db/repository'
import { createCursors } from 'tsforge/http'
import type { Idempotency } from 'tsforge/idempotency'
import type { Toolbox } from 'tsforge/plugin'
import { notes } from './note.table.ts'

interface Needs {
  readonly db: Db
  readonly idempotency: Idempotency
}

/** What the routes work with: the rows, the seal of the list's pages, and what makes a write safe to repeat. */
export type NoteService = ReturnType<typeof createNoteService>

export function createNoteService({ db, idempotency, clock, secrets }: Toolbox<unknown> & Needs) {
  return { db, idempotency, repository: createRepository(notes, db, { clock }), cursors: createCursors(secrets) }
}
