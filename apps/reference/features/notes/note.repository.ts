import type { Clock } from 'tsforge/clock'
import type { Db } from 'tsforge/db'
import { column, createRepository, defineTable } from 'tsforge/db/repository'
import type { Row } from 'tsforge/db/repository'
import { noteErrors } from './note.errors.ts'

/** The tenant, who wrote it when, the version and soft deletion are columns that the repository manages. */
const notes = defineTable({
  name: 'notes',
  tenant: true,
  columns: { title: column.text(), body: column.text(), pinned: column.boolean({ hasDefault: true }) },
  errors: noteErrors,
  unique: { notes_title: 'note.title_taken' },
  notFound: 'note.not_found',
})

export type Note = Row<typeof notes>

export type NoteRepository = ReturnType<typeof createNoteRepository>

export function createNoteRepository(db: Db, clock: Clock) {
  return createRepository(notes, db, { clock })
}
