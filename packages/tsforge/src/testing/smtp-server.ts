import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SMTPServer } from 'smtp-server'
import type { SMTPServerSession } from 'smtp-server'

/** A mail that the server has accepted. */
export interface ReceivedMail {
  readonly from: string
  readonly to: readonly string[]
  readonly raw: Buffer
  /** Over TLS. */
  readonly secure: boolean
  /** Who signed in. */
  readonly user: string | undefined
}

/** `connect`: in place of the greeting. `data`: behind the line that ends the mail. */
export type SmtpStage = 'connect' | 'mail' | 'rcpt' | 'data'

/**
 * An answer in place of a good one; or `drop`: the connection ends; `stall`: no answer at all; `lost` (for `data` alone): the mail
 * is accepted, and the connection ends before anybody hears of it.
 */
export type SmtpFault = { readonly code: number; readonly text: string } | 'drop' | 'stall' | 'lost'

export interface SmtpServer extends AsyncDisposable {
  readonly host: '127.0.0.1'
  readonly port: number
  readonly url: string
  /** To trust. */
  readonly ca: string
  readonly mails: readonly ReceivedMail[]
  /** Connections so far. */
  readonly connections: number
  /** Planned faults that somebody has met. */
  readonly faults: number
  /** The next `times` (default 1) that come to this stage meet the fault; with `address` only that recipient. */
  fail(stage: SmtpStage, fault: SmtpFault, options?: { readonly times?: number; readonly address?: string }): void
}

export interface SmtpServerSettings {
  /** Default `starttls`, without which no password and no mail is taken. */
  readonly tls?: 'starttls' | 'implicit' | 'none'
  /** Default `forge` with the password `secret`; `false`: nobody has to sign in. */
  readonly auth?: { readonly user: string; readonly pass: string } | false
}

interface Planned {
  readonly stage: SmtpStage
  readonly fault: SmtpFault
  readonly address: string | undefined
  left: number
}

/** A mail server of a test's own, on loopback. It does what it is told to do wrong, and nothing else. */
export async function startSmtp({
  tls = 'starttls',
  auth = { user: 'forge', pass: 'secret' },
}: SmtpServerSettings = {}): Promise<SmtpServer> {
  const mails: ReceivedMail[] = []
  const planned: Planned[] = []
  let connections = 0
  let faults = 0
  const { key, cert } = certificate()
  const next = (stage: SmtpStage, address?: string): SmtpFault | undefined => {
    const found = planned.find((each) => {
      return each.stage === stage && each.left > 0 && (each.address === undefined || each.address === address)
    })
    if (found === undefined) return undefined
    found.left--
    faults++
    return found.fault
  }
  const cut = ({ id }: SMTPServerSession): void => {
    for (const each of server.connections as Iterable<{ session?: { id: string }; _socket?: { destroy(): void } }>)
      if (each.session?.id === id) each._socket?.destroy()
  }
  /** Answers as planned; false when all is well. */
  const faulty = (
    fault: SmtpFault | undefined,
    session: SMTPServerSession,
    answer: (error: Error & { responseCode?: number }) => void,
  ): boolean => {
    if (fault === undefined) return false
    if (typeof fault === 'object') answer(Object.assign(new Error(fault.text), { responseCode: fault.code }))
    else if (fault !== 'stall') cut(session)
    return true
  }
  const server = new SMTPServer({
    secure: tls === 'implicit',
    key,
    cert,
    banner: 'forge test',
    authOptional: auth === false,
    disabledCommands: [...(tls === 'none' ? ['STARTTLS'] : []), ...(auth === false ? ['AUTH'] : [])],
    allowInsecureAuth: tls === 'none',
    disableReverseLookup: true,
    // Faults of TLS are what some tests are about.
    logger: false,
    onConnect(session, done) {
      connections++
      if (!faulty(next('connect'), session, done)) done()
    },
    onAuth({ username, password }, _, done) {
      if (auth !== false && username === auth.user && password === auth.pass) return done(null, { user: username })
      done(Object.assign(new Error('5.7.8 Authentication failed'), { responseCode: 535 }))
    },
    onMailFrom({ address }, session, done) {
      if (tls === 'starttls' && !session.secure)
        return done(Object.assign(new Error('5.7.0 Must issue a STARTTLS command first'), { responseCode: 530 }))
      if (!faulty(next('mail', address), session, done)) done()
    },
    onRcptTo({ address }, session, done) {
      if (!faulty(next('rcpt', address), session, done)) done()
    },
    onData(stream, session, done) {
      const { mailFrom, rcptTo } = session.envelope
      const from = mailFrom === false ? '' : mailFrom.address
      const pieces: Buffer[] = []
      stream.on('data', (piece: Buffer) => void pieces.push(piece))
      stream.on('end', () => {
        const fault = next('data')
        if (fault === undefined || fault === 'lost') {
          const user = session.user as string | undefined
          const to = rcptTo.map(({ address }) => address)
          mails.push({ from, to, raw: Buffer.concat(pieces), secure: session.secure, user })
        }
        if (!faulty(fault, session, done)) done()
      })
    },
  })
  server.on('error', () => undefined)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.server.address() as AddressInfo
  const who = auth === false ? '' : `${encodeURIComponent(auth.user)}:${encodeURIComponent(auth.pass)}@`
  return {
    host: '127.0.0.1',
    port,
    url: `${tls === 'implicit' ? 'smtps' : 'smtp'}://${who}127.0.0.1:${port}`,
    ca: cert,
    mails,
    get connections() {
      return connections
    },
    get faults() {
      return faults
    },
    fail: (stage, fault, { times = 1, address } = {}) => void planned.push({ stage, fault, address, left: times }),
    async [Symbol.asyncDispose]() {
      for (const each of server.connections as Iterable<{ _socket?: { destroy(): void } }>) each._socket?.destroy()
      await new Promise<void>((done) => server.close(done))
    },
  }
}

let made: { readonly key: string; readonly cert: string } | undefined

/** For 127.0.0.1 and localhost, made once in a process. */
function certificate(): { readonly key: string; readonly cert: string } {
  if (made !== undefined) return made
  const dir = mkdtempSync(join(tmpdir(), 'forge-smtp-'))
  try {
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...names], { stdio: 'ignore' })
    made = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
    return made
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
