import type { Clock } from 'tsforge/clock'
import type { Db } from 'tsforge/db'
import { createCursors } from 'tsforge/http'
import type { Cursors } from 'tsforge/http'
import type { Secrets } from 'tsforge/secrets'
import { createNoteRepository } from './note.repository.ts'
import type { NoteRepository } from './note.repository.ts'

export interface NoteService {
  readonly repository: NoteRepository
  /** Seals the pages of the list. */
  readonly cursors: Cursors
}

export function createNoteService({
  db,
  clock,
  secrets,
}: {
  readonly db: Db
  readonly clock: Clock
  readonly secrets: Secrets
}): NoteService {
  return { repository: createNoteRepository(db, clock), cursors: createCursors(secrets) }
}
