import { Readable } from 'node:stream'
import type { TLSSocketOptions } from 'node:tls'
import type SmtpPool from 'nodemailer/lib/smtp-pool'
import type { Delivery, DeliverOptions, MailDriver, OutgoingMail } from '../driver.ts'
import { mailerErrors } from '../errors.ts'
import { refusalOf, verdict } from './smtp/verdict.ts'
import type { SmtpFault } from './smtp/verdict.ts'

export interface SmtpSettings {
  readonly host: string
  /** Default 465 with `secure`, else 587. */
  readonly port?: number
  /** TLS from the first byte. Default: on port 465. */
  readonly secure?: boolean
  readonly auth?: { readonly user: string; readonly pass: string }
  /**
   * `required` (default): no mail and no password without TLS and a certificate that fits. `opportunistic`: TLS where the server
   * offers it, whatever its certificate. `off`: none.
   */
  readonly tls?: 'required' | 'opportunistic' | 'off'
  /** Certificates of authorities to trust in place of the machine's, PEM. */
  readonly ca?: string
  /** Name in EHLO. Default: that of the machine. */
  readonly name?: string
  /** Connections at the same time. Default 5. */
  readonly connections?: number
  /** Mails over one connection. Default 100. */
  readonly messagesPerConnection?: number
  /** To connect, TLS included. Default 10 s. */
  readonly connectTimeoutMs?: number
  /** To greet. Default 15 s. */
  readonly greetingTimeoutMs?: number
  /** Without a byte from the server. Default 60 s. */
  readonly socketTimeoutMs?: number
  /** For all of a mail, waiting for a connection included. Default 3 min. */
  readonly sendTimeoutMs?: number
  /** After which an unused connection is closed. Default 30 s. */
  readonly idleTimeoutMs?: number
}

/** Sends by SMTP (RFC 5321) over a few connections that stay open. */
export function smtp(settings: SmtpSettings): MailDriver {
  return new Smtp(settings)
}

class Smtp implements MailDriver {
  readonly name = 'smtp'
  readonly capabilities = { delivers: true } as const
  readonly #settings: SmtpSettings
  #pool: Promise<SmtpPool> | undefined
  readonly #running = new Set<Promise<unknown>>()
  #closed = false

  constructor(settings: SmtpSettings) {
    this.#settings = settings
  }

  deliver(mail: OutgoingMail, options: DeliverOptions): Promise<Delivery> {
    const running = this.#deliver(mail, options)
    const settled = running.then(
      () => undefined,
      () => undefined,
    )
    this.#running.add(settled)
    void settled.then(() => this.#running.delete(settled))
    return running
  }

  async #deliver(mail: OutgoingMail, { signal, beforeHandOver }: DeliverOptions): Promise<Delivery> {
    signal?.throwIfAborted()
    const pool = await this.#open()
    const limit = AbortSignal.timeout(this.#settings.sendTimeoutMs ?? 180_000)
    const ended = signal === undefined ? limit : AbortSignal.any([signal, limit])
    const state: HandOver = { started: false, failure: undefined }
    const handed = { data: { signal: ended }, message: messageOf(mail, state, beforeHandOver) }
    return new Promise((done, fail) => {
      pool.send(handed as never, (error: SmtpFault | null, info?: SentInfo) => {
        if (error === null || error === undefined) {
          const refused = (info?.rejectedErrors ?? []).map(refusalOf)
          return done({ accepted: info?.accepted ?? [], refused, response: info?.response ?? '' })
        }
        if (state.failure !== undefined) return fail(state.failure.error as Error)
        // Each recipient has got an answer of its own.
        if (error.rejectedErrors !== undefined && error.rejectedErrors.length === mail.envelope.to.length)
          return done({ accepted: [], refused: error.rejectedErrors.map(refusalOf), response: error.response ?? '' })
        fail(verdict(error, state.started))
      })
    })
  }

  async verify(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const pool = await this.#open()
    try {
      await pool.verify()
      signal?.throwIfAborted()
    } catch (error) {
      signal?.throwIfAborted()
      throw verdict(error as SmtpFault, false)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#running)
    // One that could not be made has nothing to close.
    const pool = await this.#pool?.catch(() => undefined)
    pool?.close()
  }

  #open(): Promise<SmtpPool> {
    if (this.#closed)
      return Promise.reject(mailerErrors.error('mailer.unavailable', { cause: new Error('the mailer is closed') }))
    // A package that is missing is told at each mail.
    return (this.#pool ??= createPool(this.#settings))
  }
}

/** What nodemailer tells of a mail that was taken. */
interface SentInfo {
  readonly accepted?: string[]
  readonly rejectedErrors?: SmtpFault[] | undefined
  readonly response?: string
}

interface HandOver {
  /** All of the mail has been read; the line that ends it may have been sent. */
  started: boolean
  /** What `beforeHandOver` threw. */
  failure: { readonly error: unknown } | undefined
}

/** A mail as the pool wants it. The stream ends, and with it the mail on the wire, only behind `beforeHandOver`. */
function messageOf(
  { envelope, messageId, raw }: OutgoingMail,
  state: HandOver,
  beforeHandOver: (() => Promise<void>) | undefined,
): object {
  async function* content(): AsyncGenerator<Buffer> {
    yield raw
    try {
      await beforeHandOver?.()
    } catch (error) {
      state.failure = { error }
      throw error
    }
    state.started = true
  }
  return {
    getEnvelope: () => ({ from: envelope.from, to: [...envelope.to], size: raw.length }),
    messageId: () => messageId,
    getHeader: () => messageId,
    createReadStream: () => Readable.from(content(), { objectMode: false }),
  }
}

async function createPool(settings: SmtpSettings): Promise<SmtpPool> {
  const { host, tls = 'required', auth, ca, name } = settings
  const secure = settings.secure ?? settings.port === 465
  const security: TLSSocketOptions & { minVersion: 'TLSv1.2' } = {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: tls === 'required',
    ...(ca !== undefined && { ca }),
  }
  const { default: Pool } = await loaded()
  const pool = new Pool({
    host,
    port: settings.port ?? (secure ? 465 : 587),
    secure,
    requireTLS: tls === 'required' && !secure,
    ignoreTLS: tls === 'off',
    opportunisticTLS: tls === 'opportunistic',
    tls: security,
    // A server that takes no password is not the one that was meant.
    ...(auth !== undefined && { auth: { ...auth }, forceAuth: tls === 'required' }),
    ...(name !== undefined && { name }),
    maxConnections: settings.connections ?? 5,
    maxMessages: settings.messagesPerConnection ?? 100,
    connectionTimeout: settings.connectTimeoutMs ?? 10_000,
    dnsTimeout: settings.connectTimeoutMs ?? 10_000,
    greetingTimeout: settings.greetingTimeoutMs ?? 15_000,
    socketTimeout: settings.socketTimeoutMs ?? 60_000,
    idleTimeout: settings.idleTimeoutMs ?? 30_000,
    // Only what never left: a connection that the server had closed while nobody used it.
    maxRequeues: 2,
  })
  // What ends a mail is told by its callback.
  pool.on('error', () => undefined)
  return pool
}

async function loaded(): Promise<{ readonly default: typeof SmtpPool }> {
  try {
    return await import('nodemailer/lib/smtp-pool')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND')
      throw new Error('Mails need the package nodemailer: npm install nodemailer', { cause: error })
    throw error
  }
}
