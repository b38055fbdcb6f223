import type { Plugin, Port } from '../../kernel/plugin.ts'
import { startPeriodic } from '../../kernel/periodic.ts'
import { dbPort } from '../db/index.ts'
import { jobsPort } from '../jobs/index.ts'
import { chooseDriver } from './choose-driver.ts'
import { createMailer } from './create-mailer.ts'
import type { MailerSettings, RunningMailer } from './create-mailer.ts'
import type { MailDriver } from './driver.ts'
import { mailerErrors } from './errors.ts'
import { mailerPort } from './mailer.ts'
import { mailerOptions } from './options.ts'
import type { MailerOptions } from './options.ts'

interface Opened extends RunningMailer {
  begin(): void
  end(): Promise<void>
}

const forgetEveryMs = 3_600_000
/** For where nobody gets a mail. */
const placeholderSender = 'no-reply@localhost.localdomain'

/** Provides `mailerPort`. A driver of your own comes in with `mailer(driver)`. */
export function mailer(driver?: MailDriver): Plugin {
  const plugin: Plugin<MailerOptions, { readonly db: typeof dbPort; readonly jobs: typeof jobsPort }, Opened> = {
    name: 'mailer',
    options: mailerOptions,
    needs: { db: dbPort, jobs: jobsPort },
    // The plugin itself knows more of the service than its users do.
    provides: mailerPort as Port<Opened>,
    errors: mailerErrors,
    migrations: { module: 'mailer', directory: new URL('./migrations/', import.meta.url) },
    setup: async ({ options, app, clock, log, metrics, db, jobs }) => {
      const chosen = driver ?? (await chooseDriver({ options, app, clock, log }))
      const { from = app.environment === 'production' ? undefined : placeholderSender, limit } = options
      const service = createMailer(chosen, {
        ...(from !== undefined && { from }),
        ...dkimOf(options),
        ...{ limit, db, jobs, clock, log, metrics },
      })
      let stop: (() => Promise<void>) | undefined
      return Object.assign(service, {
        begin() {
          const failure = 'old mails could not be forgotten'
          stop = startPeriodic(() => service.forget(options.keepMs), { clock, log, everyMs: forgetEveryMs, failure })
        },
        async end() {
          await stop?.()
          await service.close()
        },
      })
    },
    start: (service) => service.begin(),
    stop: (service) => service.end(),
    jobs: (service) => service.handlers,
  }
  return plugin as unknown as Plugin
}

function dkimOf({
  dkimDomain: domain,
  dkimSelector: selector,
  dkimKey: key,
}: MailerOptions): Pick<MailerSettings, 'dkim'> {
  if (domain === undefined || key === undefined) return {}
  return { dkim: { domain, selector, privateKey: key.reveal().replaceAll('\\n', '\n') } }
}
