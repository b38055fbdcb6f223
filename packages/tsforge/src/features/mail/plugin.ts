import { createCursors } from '../../http/cursors.ts'
import type { Cursors } from '../../http/cursors.ts'
import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import type { Route } from '../../http/route.ts'
import type { Port } from '../../kernel/plugin.ts'
import { dbPort } from '../../primitives/db/index.ts'
import { mailerPort } from '../../primitives/mailer/index.ts'
import type { AnyTemplate } from '../../primitives/mailer/index.ts'
import { webhooksInPort } from '../webhooks-in/index.ts'
import type { WebhooksIn } from '../webhooks-in/index.ts'
import { createMail } from './create-mail.ts'
import { mailErrors } from './errors.ts'
import { feedbackSource } from './feedback-source.ts'
import type { FeedbackInput } from './feedback-source.ts'
import { mailPort } from './mail.ts'
import type { Mail } from './mail.ts'
import { mailOptions } from './options.ts'
import type { MailOptions } from './options.ts'
import { mailPermissions, suppressionRoutes, unsubscribeRoutes } from './routes.ts'

export interface MailInput {
  /** Shown in the inbox of development with their samples. */
  readonly templates?: readonly AnyTemplate[]
  /** Who tells of dead addresses and complaints; brings `webhooks-in`. */
  readonly feedback?: readonly FeedbackInput[]
}

interface Running extends Mail {
  readonly cursors: Cursors
  readonly inboxRoutes: readonly Route[]
  end(): void
}

interface Needs {
  readonly db: typeof dbPort
  readonly mailer: typeof mailerPort
  readonly [name: string]: Port<unknown>
}

const devOrigin = 'http://localhost:8080'

/** Who may not get mails, links to unsubscribe, and the inbox of development at `/dev/mail`. */
export function mail({ templates = [], feedback = [] }: MailInput = {}): Feature {
  return defineFeature<MailOptions, Needs, Running>({
    name: 'mail',
    options: mailOptions,
    needs: { db: dbPort, mailer: mailerPort, ...(feedback.length > 0 && { webhooksIn: webhooksInPort }) },
    // The plugin itself knows more of the service than its users do.
    provides: mailPort as Port<Running>,
    errors: mailErrors,
    permissions: mailPermissions,
    migrations: { module: 'mail', directory: new URL('./migrations/', import.meta.url) },
    setup: async ({ db, mailer, clock, secrets, options, app, ...more }) => {
      const production = app.environment === 'production'
      const origin = options.url === undefined ? (production ? undefined : devOrigin) : new URL(options.url).origin
      const service = createMail({ db, clock, secrets, origin })
      for (const input of feedback) (more['webhooksIn'] as WebhooksIn).declare(feedbackSource(input, service))
      const end = mailer.screen(service.screen)
      const shown = !production && options.inbox !== 'off' ? mailer.inbox : undefined
      const parts = { mailer, templates, app: app.name, local: options.inbox === 'local' }
      // Its page is loaded where it is shown, and nowhere else.
      const inboxRoutes =
        shown === undefined ? [] : (await import('./inbox/routes.ts')).inboxRoutes({ ...parts, inbox: shown })
      return Object.assign(service, { cursors: createCursors(secrets), inboxRoutes, end })
    },
    stop: (service) => service.end(),
    routes: (service) => [
      ...suppressionRoutes({ service, cursors: service.cursors }),
      ...unsubscribeRoutes(service),
      ...service.inboxRoutes,
    ],
  })
}
