import type { App } from '../host/app.ts'
import { mailerPort } from '../primitives/mailer/index.ts'
import type { Inbox, KeptMail } from '../primitives/mailer/index.ts'

/** What a mail must look like. A text must be equal, a pattern must match. Absent: does not matter. */
export interface ExpectedMail {
  /** One of its recipients, Cc and Bcc among them. */
  readonly to?: string
  readonly from?: string | RegExp
  readonly subject?: string | RegExp
  readonly text?: string | RegExp
  readonly html?: RegExp
  readonly category?: string
  /** Exactly so many. Default: at least one. */
  readonly times?: number
}

/** Mails that the app has sent, which a test keeps in memory. Those of `sendLater` are sent by `app.jobs.drain()`. */
export interface TestMail {
  /** Newest first. */
  readonly mails: readonly KeptMail[]
  /** The newest one that fits. Throws when there is none (or not `times`), naming those there are. */
  expectSent(expected?: ExpectedMail): KeptMail
  /** Throws when there is one that fits. */
  expectNone(expected?: Omit<ExpectedMail, 'times'>): void
  clear(): void
}

export function testMail(app: App): TestMail {
  const inbox = (): Inbox => {
    const kept = app.get(mailerPort).inbox
    if (kept === undefined) throw new Error('the mailer of this app does not keep mails: use the driver memory')
    return kept
  }
  return {
    get mails() {
      return inbox().mails
    },
    expectSent(expected = {}) {
      const found = inbox().mails.filter((mail) => fits(mail, expected))
      const { times } = expected
      const [newest] = found
      if (newest !== undefined && (times === undefined || found.length === times)) return newest
      const wanted = times === undefined ? 'a mail' : `${times} mails`
      throw new Error(`expected ${wanted}${said(expected)}, found ${found.length}\n${told(inbox().mails)}`)
    },
    expectNone(expected = {}) {
      const found = inbox().mails.filter((mail) => fits(mail, expected))
      if (found.length > 0) throw new Error(`expected no mail${said(expected)}, found\n${told(found)}`)
    },
    clear: () => inbox().clear(),
  }
}

function fits({ envelope, message }: KeptMail, { to, from, subject, text, html, category }: ExpectedMail): boolean {
  const is = (wanted: string | RegExp | undefined, actual: string): boolean =>
    wanted === undefined || (typeof wanted === 'string' ? wanted === actual : wanted.test(actual))
  return (
    (to === undefined || envelope.to.some((each) => each.toLowerCase() === to.toLowerCase())) &&
    is(from, message.from.address) &&
    is(subject, message.subject) &&
    is(text, message.text) &&
    is(html, message.html ?? '') &&
    (category === undefined || message.category === category)
  )
}

function said(expected: ExpectedMail): string {
  const shown = Object.entries(expected).filter(([name]) => name !== 'times')
  return shown.length === 0 ? '' : ` with ${shown.map(([name, value]) => `${name} ${String(value)}`).join(', ')}`
}

function told(mails: readonly KeptMail[]): string {
  if (mails.length === 0) return 'no mail was sent'
  return mails.map(({ envelope, message }) => `  to ${envelope.to.join(', ')}: ${message.subject}`).join('\n')
}
