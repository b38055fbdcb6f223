import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type MailerErrorCode =
  | 'mailer.message_invalid'
  | 'mailer.misconfigured'
  | 'mailer.option_invalid'
  | 'mailer.outcome_unknown'
  | 'mailer.rejected'
  | 'mailer.template_invalid'
  | 'mailer.too_large'
  | 'mailer.unavailable'

export const mailerErrors: ErrorCatalogue<MailerErrorCode> = defineErrors({
  'mailer.message_invalid': {
    status: 422,
    message: {
      en: 'The mail cannot be sent: {field} {reason}.',
      id: 'Surel tidak dapat dikirim: {field} tidak valid ({reason}).',
    },
    fix: 'Correct the field that "meta.field" names. What people typed belongs into text, never into addresses or headers unchecked.',
  },
  'mailer.misconfigured': {
    status: 500,
    message: {
      en: 'The mail server does not accept our credentials or its encryption does not hold.',
      id: 'Server surel menolak kredensial kita atau enkripsinya tidak memadai.',
    },
    fix: 'Look at SMTP_URL and FORGE_MAILER_TLS; `forge doctor` tries them.',
  },
  'mailer.option_invalid': {
    status: 500,
    message: { en: 'An option of the mailer is not valid.', id: 'Opsi pengirim surel tidak valid.' },
    fix: 'See "meta.option" for the name and "meta.reason" for what is wrong with it.',
  },
  'mailer.outcome_unknown': {
    status: 502,
    message: {
      en: 'The mail was handed over, but the answer of the server was lost.',
      id: 'Surel telah diserahkan, tetapi jawaban server hilang.',
    },
    fix: 'It has most likely been accepted: sending it again may deliver it twice. `sendLater` decides by "onUnknown".',
  },
  'mailer.rejected': {
    status: 502,
    message: {
      en: 'The mail server refuses this mail for good.',
      id: 'Server surel menolak surel ini secara permanen.',
    },
    fix: 'Sending it again does not help; "meta.recipients" or the log has the reasons.',
  },
  'mailer.template_invalid': {
    status: 500,
    message: { en: 'A mail template is not valid.', id: 'Templat surel tidak valid.' },
    fix: 'See "meta.template" and "meta.reason".',
  },
  'mailer.too_large': {
    status: 413,
    message: { en: 'The mail is too large.', id: 'Surel terlalu besar.' },
    fix: 'Send at most "meta.limit" bytes, encoded; send a link to large files.',
  },
  'mailer.unavailable': {
    status: 503,
    message: { en: 'The mail server cannot take the mail now.', id: 'Server surel sedang tidak dapat menerima surel.' },
    fix: 'Nothing has been sent: try again later, or use `sendLater`, which does.',
  },
})
