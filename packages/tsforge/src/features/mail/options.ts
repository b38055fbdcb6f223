import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'

export interface MailOptions {
  readonly url: string | undefined
  readonly inbox: 'local' | 'open' | 'off'
}

export const mailOptions: OptionsSchema<MailOptions> = {
  url: field.optional(
    field.url('FORGE_MAIL_URL', {
      doc: 'Origin under which people reach this app, for links to unsubscribe. Default: http://localhost:8080, and none in production',
      example: 'https://api.example.com',
      check: (value) =>
        value === undefined || new URL(value).pathname === '/' ? undefined : 'must be an origin alone',
      production: (value) =>
        value === undefined || value.startsWith('https:') ? undefined : 'must begin with https:// (RFC 8058)',
    }),
  ),
  inbox: field.oneOf('FORGE_MAIL_INBOX', {
    doc: 'The inbox at /dev/mail, never in production: `local` for this machine alone, `open` for whoever reaches the app',
    values: ['local', 'open', 'off'],
    default: 'local',
  }),
}
