import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type SignaturesErrorCode =
  | 'signatures.secret_invalid'
  | 'signatures.key_public'
  | 'signatures.message_invalid'
  | 'signatures.scheme_invalid'

/** Of keys and declarations. A signature that is not right is no error but a verdict. No message ever holds a secret. */
export const signaturesErrors: ErrorCatalogue<SignaturesErrorCode> = defineErrors({
  'signatures.secret_invalid': {
    status: 422,
    message: {
      en: 'The signing secret cannot be used: {reason}.',
      id: 'Rahasia penandatanganan tidak dapat dipakai: {reason}.',
    },
    fix: 'Take the secret exactly as the other side shows it, or make one with newStandardSecret().',
  },
  'signatures.key_public': {
    status: 500,
    message: {
      en: 'A public key verifies; it cannot sign.',
      id: 'Kunci publik hanya memverifikasi; tidak dapat menandatangani.',
    },
    fix: 'Sign with the private key (whsk_...).',
  },
  'signatures.message_invalid': {
    status: 500,
    message: {
      en: 'The message cannot be signed: {reason}.',
      id: 'Pesan tidak dapat ditandatangani: {reason}.',
    },
    fix: 'Ids are 1 to 256 visible ASCII characters without dots; timestamps are whole seconds since 1970, after 2001.',
  },
  'signatures.scheme_invalid': {
    status: 500,
    message: {
      en: 'The signature scheme cannot work: {reason}.',
      id: 'Skema tanda tangan tidak dapat bekerja: {reason}.',
    },
    fix: 'See the placeholders and their rules at HmacSpec.',
  },
})
