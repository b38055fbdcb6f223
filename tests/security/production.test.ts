import { describe, expect, it } from 'vitest'
import { createApp } from 'tsforge'
import type { App } from 'tsforge'
import { mailer, mailerPort } from 'tsforge/mailer'
import { memory } from 'tsforge/mailer/memory'
import config from '../../apps/reference/forge.config.ts'

/** Settings with which production comes up. */
const secure: Readonly<Record<string, string>> = {
  NODE_ENV: 'production',
  FORGE_SECRET: 'pL3x9-Qw7Zt2-vB8nM4-rK6jH1-sD5fG0',
  FORGE_STORAGE_DRIVER: 'disk',
  SMTP_URL: 'smtps://app:Zr8-vQ2m@mail.acme.test',
  MAIL_FROM: 'Acme <no-reply@acme.test>',
  FORGE_KEYS_ISSUER: 'https://api.acme.test',
  DATABASE_URL: 'postgres://app:Zr8-vQ2m@db.acme.test:5432/app?sslmode=verify-full',
  FORGE_LOG_LEVEL: 'silent',
}

const boot = (env: Readonly<Record<string, string | undefined>>): Promise<App> =>
  createApp({ config, env: { ...secure, ...env }, root: '/nonexistent', sink: { write() {}, flushSync() {} } })

const refused: readonly (readonly [
  what: string,
  variable: string,
  env: Readonly<Record<string, string | undefined>>,
])[] = [
  ['no secret', 'FORGE_SECRET', { FORGE_SECRET: undefined }],
  ['an empty secret', 'FORGE_SECRET', { FORGE_SECRET: '' }],
  ['a short secret', 'FORGE_SECRET', { FORGE_SECRET: 'Zr8-vQ2m' }],
  ['a repeated character', 'FORGE_SECRET', { FORGE_SECRET: 'a'.repeat(64) }],
  ['a repeated piece', 'FORGE_SECRET', { FORGE_SECRET: 'aB3-'.repeat(12) }],
  ['a run of characters', 'FORGE_SECRET', { FORGE_SECRET: 'abcdefghijklmnopqrstuvwxyz0123456789' }],
  ['a placeholder', 'FORGE_SECRET', { FORGE_SECRET: 'please-change-me-8f2a-77b1-93cd-0e4f' }],
  ['common words', 'FORGE_SECRET', { FORGE_SECRET: 'super-secret-jwt-key-for-production' }],
  ['a weak former secret', 'FORGE_SECRET_PREVIOUS', { FORGE_SECRET_PREVIOUS: 'changeme-changeme-changeme-changeme' }],
  ['a short metrics token', 'FORGE_METRICS_TOKEN', { FORGE_METRICS_TOKEN: 'abc' }],
  ['a placeholder as metrics token', 'FORGE_METRICS_TOKEN', { FORGE_METRICS_TOKEN: 'your-token-goes-here' }],
  ['no database', 'DATABASE_URL', { DATABASE_URL: undefined }],
  ['a database over plain text', 'DATABASE_URL', { DATABASE_URL: 'postgres://app:Zr8-vQ2m@db.acme.test/app' }],
  [
    'a database whose TLS is switched off',
    'DATABASE_URL',
    { DATABASE_URL: `postgres://app:Zr8-vQ2m@db.acme.test/app?sslmode=disable` },
  ],
  [
    'a replica over plain text',
    'DATABASE_REPLICA_URL',
    { DATABASE_REPLICA_URL: 'postgres://app:Zr8-vQ2m@db2.acme.test/app' },
  ],
  [
    'a direct connection over plain text',
    'DATABASE_DIRECT_URL',
    { DATABASE_DIRECT_URL: 'postgres://app:Zr8-vQ2m@db2.acme.test/app' },
  ],
  ['the embedded database', 'FORGE_DB_DRIVER', { FORGE_DB_DRIVER: 'embedded' }],
  ['the issuer that everybody has', 'FORGE_KEYS_ISSUER', { FORGE_KEYS_ISSUER: undefined }],
  ['weak hashes', 'FORGE_ACCOUNTS_HASH_INSECURE', { FORGE_ACCOUNTS_HASH_INSECURE: 'true' }],
  ['hashes with little memory', 'FORGE_ACCOUNTS_HASH_MEMORY', { FORGE_ACCOUNTS_HASH_MEMORY: '1mb' }],
  ['hashes of one pass', 'FORGE_ACCOUNTS_HASH_PASSES', { FORGE_ACCOUNTS_HASH_PASSES: '1' }],
  ['access tokens for a day', 'FORGE_ACCOUNTS_ACCESS_TTL', { FORGE_ACCOUNTS_ACCESS_TTL: '1d' }],
  [
    'any origin with credentials',
    'FORGE_CORS_CREDENTIALS',
    { FORGE_CORS_ORIGINS: '*', FORGE_CORS_CREDENTIALS: 'true' },
  ],
  ['the origin null', 'FORGE_CORS_ORIGINS', { FORGE_CORS_ORIGINS: 'null' }],
  ['an origin with a star', 'FORGE_CORS_ORIGINS', { FORGE_CORS_ORIGINS: 'https://*.acme.test' }],
  ['everybody as a trusted proxy', 'FORGE_HTTP_TRUSTED_PROXIES', { FORGE_HTTP_TRUSTED_PROXIES: '0.0.0.0/0' }],
  [
    'everybody as a trusted proxy, by IPv6',
    'FORGE_HTTP_TRUSTED_PROXIES',
    { FORGE_HTTP_TRUSTED_PROXIES: '10.0.0.0/8,::/0' },
  ],
  ['no mail server', 'FORGE_MAILER_DRIVER', { SMTP_URL: undefined }],
  ['mails kept in memory', 'FORGE_MAILER_DRIVER', { FORGE_MAILER_DRIVER: 'memory' }],
  ['mails over plain text', 'FORGE_MAILER_TLS', { FORGE_MAILER_TLS: 'opportunistic' }],
  ['no sender of mails', 'MAIL_FROM', { MAIL_FROM: undefined }],
  ['links in mails over plain text', 'FORGE_MAIL_URL', { FORGE_MAIL_URL: 'http://api.acme.test' }],
  ['a misspelt setting', 'FORGE_CORS_ORIGNS', { FORGE_CORS_ORIGNS: 'https://app.acme.test' }],
  ['a misspelt environment', 'NODE_ENV', { NODE_ENV: 'prod' }],
]

describe('production', () => {
  it('comes up with secure settings', async () => {
    const app = await boot({})
    expect(app.info.environment).toBe('production')
    await app.stop()
  })

  it('has no inbox, even of a driver that keeps mails and was put in by code', async () => {
    const features = [mailer(memory()), ...config.features.filter(({ name }) => name !== 'mailer')]
    const app = await createApp({
      config: { ...config, features },
      env: { ...secure, FORGE_MAIL_INBOX: 'open', FORGE_MAILER_DRIVER: 'log' },
      root: '/nonexistent',
      sink: { write() {}, flushSync() {} },
    })
    expect(app.get(mailerPort).inbox).toBeDefined()
    expect(app.routes.filter(({ url }) => url.startsWith('/dev'))).toEqual([])
    expect((await app.http.inject({ method: 'GET', url: '/dev/mail' })).statusCode).toBe(404)
    await app.stop()
  })

  for (const [what, variable, env] of refused) {
    it(`refuses ${what}, and says which setting it is without its value`, async () => {
      const thrown = await boot(env).then(
        (app) => app.stop().then(() => undefined),
        (error: Error) => error,
      )
      expect(String(thrown)).toContain(variable)
      for (const [name, value] of Object.entries(env))
        if (/SECRET|TOKEN/.test(name) && value) expect(String(thrown)).not.toContain(value)
      expect(String(thrown)).not.toContain('Zr8-vQ2m')
    })
  }
})
