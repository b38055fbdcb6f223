import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type AccountsErrorCode =
  | 'user.email_taken'
  | 'user.email_invalid'
  | 'user.name_invalid'
  | 'user.password_too_short'
  | 'user.password_too_long'
  | 'user.password_too_common'
  | 'user.password_personal'
  | 'user.invalid_credentials'
  | 'user.not_found'
  | 'auth.refresh_invalid'
  | 'auth.refresh_expired'
  | 'auth.token_reused'
  | 'auth.session_revoked'
  | 'auth.session_required'
  | 'session.not_found'
  | 'accounts.too_many_attempts'
  | 'accounts.busy'
  | 'accounts.unavailable'

export const accountsErrors: ErrorCatalogue<AccountsErrorCode> = defineErrors({
  'user.email_taken': {
    status: 409,
    message: { en: 'This e-mail address is already registered.', id: 'Alamat email ini sudah terdaftar.' },
    fix: 'Log in instead, or register another address.',
  },
  'user.email_invalid': {
    status: 422,
    message: { en: 'This is not an e-mail address that can be used.', id: 'Alamat email ini tidak dapat digunakan.' },
    fix: 'Send an address such as "ada@example.org" of at most 254 bytes.',
  },
  'user.name_invalid': {
    status: 422,
    message: { en: 'The name is not acceptable.', id: 'Nama tidak dapat diterima.' },
    fix: 'Send 1 to 120 characters without control characters.',
  },
  'user.password_too_short': {
    status: 422,
    message: {
      en: 'The password needs at least {min} characters.',
      id: 'Kata sandi memerlukan minimal {min} karakter.',
    },
    fix: 'Choose a longer password; a sentence is good.',
  },
  'user.password_too_long': {
    status: 422,
    message: { en: 'The password is longer than {max} bytes.', id: 'Kata sandi lebih panjang dari {max} byte.' },
    fix: 'Choose a shorter password. It would not be cut silently.',
  },
  'user.password_too_common': {
    status: 422,
    message: { en: 'This password is among the most common ones.', id: 'Kata sandi ini termasuk yang paling umum.' },
    fix: 'Choose a password that others do not use.',
  },
  'user.password_personal': {
    status: 422,
    message: {
      en: 'The password must not be your name or e-mail address.',
      id: 'Kata sandi tidak boleh berupa nama atau alamat email Anda.',
    },
    fix: 'Choose a password that does not follow from who you are.',
  },
  // One answer for an unknown address, a wrong password and a disabled user.
  'user.invalid_credentials': {
    status: 401,
    message: { en: 'The e-mail address or the password is wrong.', id: 'Alamat email atau kata sandi salah.' },
    fix: 'Check both and try again.',
  },
  'user.not_found': {
    status: 404,
    message: { en: 'There is no such user.', id: 'Pengguna tidak ditemukan.' },
    fix: 'Check the id; the account may have been deleted.',
  },
  'auth.refresh_invalid': {
    status: 401,
    message: { en: 'The refresh token is not valid.', id: 'Refresh token tidak valid.' },
    fix: 'Log in again.',
  },
  'auth.refresh_expired': {
    status: 401,
    message: { en: 'The refresh token has expired.', id: 'Refresh token telah kedaluwarsa.' },
    fix: 'Log in again.',
  },
  'auth.token_reused': {
    status: 401,
    message: {
      en: 'The refresh token had been used before; this session has been ended for safety.',
      id: 'Refresh token sudah pernah digunakan; sesi ini diakhiri demi keamanan.',
    },
    fix: 'Log in again. Each refresh token works once: keep the newest.',
  },
  'auth.session_revoked': {
    status: 401,
    message: { en: 'This session has been ended.', id: 'Sesi ini telah diakhiri.' },
    fix: 'Log in again.',
  },
  'auth.session_required': {
    status: 403,
    message: { en: 'Only a signed-in user can do this.', id: 'Hanya pengguna yang masuk yang dapat melakukan ini.' },
    fix: 'Use the access token of an interactive login, not an API key.',
  },
  // One answer for unknown, ended and foreign sessions.
  'session.not_found': {
    status: 404,
    message: { en: 'There is no such session.', id: 'Sesi tidak ditemukan.' },
    fix: 'List your sessions with GET /api/v1/me/sessions.',
  },
  'accounts.too_many_attempts': {
    status: 429,
    message: { en: 'Too many failed attempts. Wait a moment.', id: 'Terlalu banyak percobaan gagal. Tunggu sebentar.' },
    fix: 'Try again after the time in Retry-After.',
  },
  'accounts.busy': {
    status: 503,
    message: {
      en: 'Too many passwords are being checked right now.',
      id: 'Terlalu banyak kata sandi sedang diperiksa saat ini.',
    },
    fix: 'Try again after the time in Retry-After.',
  },
  'accounts.unavailable': {
    status: 503,
    message: { en: 'Sessions cannot be checked at the moment.', id: 'Sesi tidak dapat diperiksa saat ini.' },
    fix: 'Try again shortly.',
  },
})
