import { column, defineTable } from 'tsforge/db/repository'
import { noteErrors } from './note.errors.ts'

/** The tenant, who wrote it when, the version and soft deletion are columns that the repository manages. */
export const notes = defineTable({
  name: 'notes',
  tenant: true,
  columns: { title: column.text(), body: column.text(), pinned: column.boolean({ hasDefault: true }) },
  errors: noteErrors,
  unique: { notes_title: 'note.title_taken' },
  notFound: 'note.not_found',
})
