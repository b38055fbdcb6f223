import { defineErrors } from 'tsforge/errors'
import type { ErrorCatalogue } from 'tsforge/errors'

export const avatarErrors: ErrorCatalogue<'avatar.not_found' | 'avatar.not_yours'> = defineErrors({
  'avatar.not_found': {
    status: 404,
    message: { en: 'There is no picture of this member.', id: 'Tidak ada foto anggota ini.' },
  },
  'avatar.not_yours': {
    status: 422,
    message: { en: 'This file cannot become your picture.', id: 'Berkas ini tidak dapat menjadi foto Anda.' },
    fix: 'Upload a file of the kind "avatar", complete it, then name its id here.',
  },
})
