import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type MailErrorCode = 'mail.link_invalid' | 'mail.not_found' | 'mail.suppression_not_found' | 'mail.url_missing'

export const mailErrors: ErrorCatalogue<MailErrorCode> = defineErrors({
  'mail.link_invalid': {
    status: 404,
    message: { en: 'This link is not valid.', id: 'Tautan ini tidak valid.' },
    fix: 'Use the link as it stands in the mail, without anything missing at its end.',
  },
  'mail.not_found': {
    status: 404,
    message: { en: 'There is no such mail.', id: 'Surel tersebut tidak ada.' },
    fix: 'The inbox keeps the newest mails of this process alone.',
  },
  'mail.suppression_not_found': {
    status: 404,
    message: { en: 'There is no such entry.', id: 'Entri tersebut tidak ada.' },
    fix: 'Check the id; entries of other tenants do not exist here.',
  },
  'mail.url_missing': {
    status: 500,
    message: {
      en: 'Mails with a category need an address of this app for their link to unsubscribe.',
      id: 'Surel berkategori memerlukan alamat aplikasi ini untuk tautan berhenti berlangganan.',
    },
    fix: 'Set FORGE_MAIL_URL, e.g. https://api.example.com.',
  },
})
