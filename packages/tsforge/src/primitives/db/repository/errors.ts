import { defineErrors } from '../../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../../kernel/errors.ts'

export type RepositoryErrorCode = 'db.not_found' | 'db.version_conflict' | 'db.column_unknown' | 'db.filter_invalid'

export const repositoryErrors: ErrorCatalogue<RepositoryErrorCode> = defineErrors({
  'db.not_found': {
    status: 404,
    message: { en: 'There is no such record.', id: 'Data tidak ditemukan.' },
    fix: 'Check the id, and that the tenant is the one that the record belongs to.',
  },
  'db.version_conflict': {
    status: 409,
    message: { en: 'The record was changed by somebody else meanwhile.', id: 'Data sudah diubah oleh pihak lain.' },
    fix: 'Read it again and repeat the change on its current version.',
  },
  'db.column_unknown': {
    status: 422,
    message: { en: 'These fields cannot be written: {columns}', id: 'Kolom berikut tidak dapat ditulis: {columns}' },
    fix: 'Leave them out.',
  },
  'db.filter_invalid': {
    status: 400,
    message: {
      en: 'The list cannot be filtered or sorted by {column} like this.',
      id: 'Daftar tidak dapat disaring atau diurutkan dengan {column} seperti itu.',
    },
    fix: 'Name a column that the list has, with a value; leave a filter out instead of sending it empty.',
  },
})
