import type { Db } from 'tsforge/db'
import { createRepository } from 'tsforge/db/repository'
import { createCursors } from 'tsforge/http'
import type { Toolbox } from 'tsforge/plugin'
import { notes } from './note.table.ts'

/** What the routes work with: the rows, and the seal of the list's pages. */
export type NoteService = ReturnType<typeof createNoteService>

export function createNoteService({ db, clock, secrets }: Toolbox<unknown> & { readonly db: Db }) {
  return { repository: createRepository(notes, db, { clock }), cursors: createCursors(secrets) }
}
