import { field } from '../../kernel/options.ts'
import type { OptionsSchema, Secret } from '../../kernel/options.ts'
import { readAddress } from './addresses.ts'

export interface MailerOptions {
  readonly url: Secret | undefined
  readonly fallbackUrl: Secret | undefined
  readonly from: string | undefined
  readonly driver: 'auto' | 'smtp' | 'log' | 'memory'
  readonly tls: 'required' | 'opportunistic' | 'off'
  readonly connections: number
  readonly timeoutMs: number
  readonly limit: number
  readonly keepMs: number
  readonly dkimDomain: string | undefined
  readonly dkimSelector: string
  readonly dkimKey: Secret | undefined
}

const protocols = ['smtp', 'smtps']

function isLocal(url: unknown): boolean {
  const { hostname } = URL.parse((url as Secret | undefined)?.reveal() ?? '') ?? { hostname: '' }
  return hostname === 'localhost' || hostname.startsWith('127.') || hostname === '[::1]'
}

export const mailerOptions: OptionsSchema<MailerOptions> = {
  url: field.optional(
    field.secretUrl('SMTP_URL', {
      doc: 'Mail server: smtp:// (STARTTLS, port 587) or smtps:// (TLS at once, port 465), with user and password',
      example: 'smtp://user:password@mail.example.com',
      protocols,
    }),
  ),
  fallbackUrl: field.optional(
    field.secretUrl('FORGE_MAILER_FALLBACK_URL', {
      doc: 'Mail server for when the first one takes nothing',
      protocols,
      check: (_, { url }) => (url === undefined ? 'needs SMTP_URL' : undefined),
    }),
  ),
  from: field.optional(
    field.string('MAIL_FROM', {
      doc: 'Sender of mails that name none',
      example: 'Acme <no-reply@example.com>',
      check: (value) => {
        try {
          readAddress('MAIL_FROM', value as string)
          return undefined
        } catch (error) {
          return String((error as { meta?: { reason?: string } }).meta?.reason)
        }
      },
    }),
    { requiredInProduction: true },
  ),
  driver: field.oneOf('FORGE_MAILER_DRIVER', {
    doc: 'What becomes of mails. `auto`: SMTP when SMTP_URL is set, else memory, which the inbox of development shows',
    values: ['auto', 'smtp', 'log', 'memory'],
    default: 'auto',
    check: (value, { url }) => (value === 'smtp' && url === undefined ? 'is smtp, which needs SMTP_URL' : undefined),
    production: (value, { url }) => {
      if (value === 'memory') return 'must not be memory: nobody would get a mail'
      if (value === 'auto' && url === undefined)
        return 'must be said when there is no SMTP_URL: log, if mails are to be written to the log in place of being sent'
      return undefined
    },
  }),
  tls: field.oneOf('FORGE_MAILER_TLS', {
    doc: 'Encryption of SMTP. `required`: nothing is said without TLS and a certificate that fits',
    values: ['required', 'opportunistic', 'off'],
    default: 'required',
    production: (value, { url, fallbackUrl }) =>
      value === 'required' || (isLocal(url ?? undefined) && (fallbackUrl === undefined || isLocal(fallbackUrl)))
        ? undefined
        : 'must be required: mails and the password would travel in the clear',
  }),
  connections: field.integer('FORGE_MAILER_CONNECTIONS', {
    doc: 'Connections to the mail server at the same time, per process',
    default: 5,
    min: 1,
    max: 100,
  }),
  timeoutMs: field.duration('FORGE_MAILER_TIMEOUT', {
    doc: 'Longest silence of the mail server; three times that for a whole mail',
    default: '1m',
    min: '1s',
    max: '10m',
  }),
  limit: field.bytes('FORGE_MAILER_MAX_SIZE', {
    doc: 'Bytes of a mail, encoded, files included',
    default: '20mb',
    min: '10kb',
    max: '100mb',
  }),
  keepMs: field.duration('FORGE_MAILER_KEEP', {
    doc: 'How long the key of a mail of `sendLater` is remembered after the mail has ended',
    default: '30d',
    min: '1h',
    max: '365d',
  }),
  dkimDomain: field.optional(
    field.string('FORGE_MAILER_DKIM_DOMAIN', { doc: 'Domain of the DKIM signature', example: 'example.com' }),
  ),
  dkimSelector: field.string('FORGE_MAILER_DKIM_SELECTOR', {
    doc: 'Selector of the key: its public half is the TXT record `<selector>._domainkey.<domain>`',
    default: 'forge',
  }),
  dkimKey: field.optional(
    field.secret('FORGE_MAILER_DKIM_KEY', {
      doc: 'Private RSA key of the DKIM signature, PEM; line breaks may be written as \\n',
      foreign: true,
      check: (_, { dkimDomain }) => (dkimDomain === undefined ? 'needs FORGE_MAILER_DKIM_DOMAIN' : undefined),
    }),
  ),
}
