import type { Clock } from '../../kernel/clock.ts'
import type { Log } from '../../kernel/log.ts'
import type { Secret } from '../../kernel/options.ts'
import type { AppInfo } from '../../kernel/plugin.ts'
import type { MailDriver } from './driver.ts'
import type { SmtpSettings } from './drivers/smtp.ts'
import type { MailerOptions } from './options.ts'

export interface DriverParts {
  readonly options: MailerOptions
  readonly app: AppInfo
  readonly clock: Clock
  readonly log: Log
}

/** The driver that the options ask for; only its own code is loaded. */
export async function chooseDriver({ options, app, clock, log }: DriverParts): Promise<MailDriver> {
  const { driver, url, fallbackUrl } = options
  if (driver === 'log') {
    const { log: toLog } = await import('./drivers/log.ts')
    return toLog({ log, body: app.environment !== 'production' })
  }
  if (driver === 'memory' || url === undefined) return (await import('./drivers/memory.ts')).memory({ clock })
  const { smtp } = await import('./drivers/smtp.ts')
  const first = smtp(smtpSettings(url, options))
  if (fallbackUrl === undefined) return first
  const { failover } = await import('./drivers/failover.ts')
  return failover([first, smtp(smtpSettings(fallbackUrl, options))])
}

/** What a URL says, with the rest of the options. */
export function smtpSettings(
  url: Secret,
  { tls, connections, timeoutMs }: Pick<MailerOptions, 'tls' | 'connections' | 'timeoutMs'>,
): SmtpSettings {
  const { protocol, hostname, port, username, password } = new URL(url.reveal())
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    secure: protocol === 'smtps:' || port === '465',
    tls,
    connections,
    socketTimeoutMs: timeoutMs,
    sendTimeoutMs: 3 * timeoutMs,
    ...(port !== '' && { port: Number(port) }),
    ...(username !== '' && { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
  }
}
