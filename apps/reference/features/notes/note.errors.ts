import { defineErrors } from 'tsforge/errors'
import type { ErrorCatalogue } from 'tsforge/errors'

export const noteErrors: ErrorCatalogue<'note.not_found' | 'note.title_taken'> = defineErrors({
  'note.not_found': {
    status: 404,
    message: { en: 'There is no such note.', id: 'Catatan tersebut tidak ada.' },
  },
  'note.title_taken': {
    status: 409,
    message: { en: 'There is a note with this title already.', id: 'Sudah ada catatan dengan judul ini.' },
    fix: 'Choose another title, or change the existing note.',
  },
})
