import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type UploadsErrorCode =
  | 'uploads.changed'
  | 'uploads.in_progress'
  | 'uploads.kind_unknown'
  | 'uploads.not_found'
  | 'uploads.not_ready'
  | 'uploads.not_stored'
  | 'uploads.refused'
  | 'uploads.too_large'
  | 'uploads.type_not_allowed'

export const uploadsErrors: ErrorCatalogue<UploadsErrorCode> = defineErrors({
  'uploads.changed': {
    status: 409,
    message: { en: 'The file changed while it was checked.', id: 'Berkas berubah saat sedang diperiksa.' },
    fix: 'Store the file once, then complete the upload.',
  },
  'uploads.in_progress': {
    status: 409,
    message: { en: 'This upload is being checked already.', id: 'Unggahan ini sedang diperiksa.' },
    fix: 'Ask again after the time in Retry-After.',
  },
  'uploads.kind_unknown': {
    status: 400,
    message: { en: 'There is no such kind of upload.', id: 'Jenis unggahan tersebut tidak ada.' },
    fix: 'Use one of "meta.kinds".',
  },
  'uploads.not_found': {
    status: 404,
    message: { en: 'There is no such upload.', id: 'Unggahan tersebut tidak ada.' },
    fix: 'Check the id; uploads that are not completed in time are removed.',
  },
  'uploads.not_ready': {
    status: 409,
    message: { en: 'The upload is not complete.', id: 'Unggahan belum selesai.' },
    fix: 'Store the file, then complete the upload.',
  },
  'uploads.not_stored': {
    status: 409,
    message: { en: 'The file has not been stored yet.', id: 'Berkas belum disimpan.' },
    fix: 'Send the file as the upload says, then complete it. When its time is over, start a new one.',
  },
  'uploads.refused': {
    status: 422,
    message: { en: 'The file is not what was announced.', id: 'Berkas tidak sesuai dengan yang diumumkan.' },
    fix: 'See "meta.reason": size, checksum, content_type, or what the app found. Start a new upload.',
  },
  'uploads.too_large': {
    status: 413,
    message: { en: 'The file is too large.', id: 'Berkas terlalu besar.' },
    fix: 'Send at most "meta.limit" bytes.',
  },
  'uploads.type_not_allowed': {
    status: 415,
    message: { en: 'Files of this type are not taken here.', id: 'Berkas dengan tipe ini tidak diterima di sini.' },
    fix: 'Send one of "meta.types".',
  },
})
