import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type StorageErrorCode =
  | 'storage.body_mismatch'
  | 'storage.body_too_large'
  | 'storage.exists'
  | 'storage.key_invalid'
  | 'storage.link_invalid'
  | 'storage.not_found'
  | 'storage.not_modified'
  | 'storage.option_invalid'
  | 'storage.precondition_failed'
  | 'storage.range_invalid'
  | 'storage.unavailable'
  | 'storage.unsupported'
  | 'storage.upload_refused'

export const storageErrors: ErrorCatalogue<StorageErrorCode> = defineErrors({
  'storage.body_mismatch': {
    status: 400,
    message: {
      en: 'The bytes that came are not those that were announced.',
      id: 'Data yang diterima tidak sama dengan yang diumumkan.',
    },
    fix: 'Send the file again; "meta.reason" says whether its size or its check sum differed.',
  },
  'storage.body_too_large': {
    status: 413,
    message: { en: 'The file is too large.', id: 'Berkas terlalu besar.' },
    fix: 'Send at most "meta.limit" bytes.',
  },
  'storage.exists': {
    status: 409,
    message: { en: 'There is an object of this name already.', id: 'Sudah ada objek dengan nama ini.' },
    fix: 'Choose another name, or store without "createOnly".',
  },
  'storage.key_invalid': {
    status: 400,
    message: { en: 'The name of the object is not valid.', id: 'Nama objek tidak valid.' },
    fix: 'Use parts of 1 to 255 bytes parted by single slashes, 1,024 bytes in all, without ".", "..", backslashes and control characters.',
  },
  'storage.link_invalid': {
    status: 403,
    message: { en: 'This link is not valid or no longer so.', id: 'Tautan ini tidak valid atau sudah tidak berlaku.' },
    fix: 'Ask for a new link, and use it with the method and the headers that came with it.',
  },
  'storage.not_found': {
    status: 404,
    message: { en: 'There is no such object.', id: 'Objek tersebut tidak ada.' },
    fix: 'Check the key; it may have been deleted.',
  },
  'storage.not_modified': {
    status: 412,
    message: { en: 'The object has not changed.', id: 'Objek belum berubah.' },
    fix: 'What you have is current.',
  },
  'storage.option_invalid': {
    status: 500,
    message: { en: 'An option of the storage is not valid.', id: 'Opsi penyimpanan tidak valid.' },
    fix: 'See "meta.option" for the name and "meta.reason" for what is wrong with it.',
  },
  'storage.precondition_failed': {
    status: 412,
    message: { en: 'The object has changed meanwhile.', id: 'Objek telah berubah sementara itu.' },
    fix: 'Read it again and decide anew.',
  },
  'storage.range_invalid': {
    status: 416,
    message: { en: 'The object has no such range.', id: 'Objek tidak memiliki rentang tersebut.' },
    fix: 'Ask for bytes within the size of the object.',
  },
  'storage.unavailable': {
    status: 503,
    message: { en: 'The storage cannot be reached.', id: 'Penyimpanan tidak dapat dijangkau.' },
    fix: 'Try again shortly. As the operator: `forge doctor` tries it, the log has the reason.',
  },
  'storage.unsupported': {
    status: 500,
    message: { en: 'The storage cannot do this.', id: 'Penyimpanan tidak dapat melakukan ini.' },
    fix: 'See "meta.reason" for another way.',
  },
  'storage.upload_refused': {
    status: 400,
    message: { en: 'The file is not what the link allows.', id: 'Berkas tidak sesuai dengan yang diizinkan tautan.' },
    fix: 'Send it with the headers or fields that came with the link; "meta.reason" says what differed.',
  },
})
