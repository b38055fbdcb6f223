import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dbPort } from '../../db/index.ts'
import { jobsPort } from '../../jobs/index.ts'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import { startSmtp } from '../../../testing/smtp-server.ts'
import type { SmtpServer } from '../../../testing/smtp-server.ts'
import { smtp } from '../drivers/smtp.ts'
import { createMailer, mailer, mailerPort } from '../index.ts'
import type { MailDriver, Mailer, SendRecord } from '../index.ts'
import { claimSend, handOverSend } from '../send-repository.ts'

const auth = { user: 'forge', pass: 'secret' }
const from = 'Forge <forge@example.com>'
let server: SmtpServer
let driver: MailDriver
let mails: Mailer
beforeEach(async () => {
  server = await startSmtp()
  const { host, port, ca } = server
  driver = smtp({ host, port, ca, auth, sendTimeoutMs: 20_000, socketTimeoutMs: 10_000, greetingTimeoutMs: 10_000 })
  mails = createMailer(driver, { from })
})
afterEach(async () => {
  await mails.close()
  await server[Symbol.asyncDispose]()
})

const message = { to: 'ada@example.com', subject: 'Hello', text: 'Hi' }
const code = (error: unknown): string | undefined => (error as { code?: string }).code
const verdictOf = (): Promise<unknown> => mails.send(message).then(() => 'sent', code)
const record = async (key = 'a'): Promise<SendRecord> => (await mails.sent(key))!
const sentTo = (): string[] => server.mails.flatMap(({ to }) => to)

describe('a mail of now', () => {
  it.each([
    ['mail', { code: 451, text: '4.3.0 busy' }, 'mailer.unavailable'],
    ['mail', { code: 550, text: '5.7.1 not from here' }, 'mailer.rejected'],
    ['rcpt', { code: 550, text: '5.1.1 nobody' }, 'mailer.rejected'],
    ['rcpt', { code: 450, text: '4.2.0 greylisted' }, 'mailer.unavailable'],
    ['data', { code: 452, text: '4.3.1 disk full' }, 'mailer.unavailable'],
    ['data', { code: 554, text: '5.7.1 spam' }, 'mailer.rejected'],
    ['data', { code: 421, text: '4.3.2 shutting down' }, 'mailer.unavailable'],
    ['connect', { code: 421, text: '4.3.2 too many' }, 'mailer.unavailable'],
    ['connect', 'stall', 'mailer.unavailable'],
    ['mail', 'drop', 'mailer.unavailable'],
    ['rcpt', 'drop', 'mailer.unavailable'],
    ['mail', 'stall', 'mailer.unavailable'],
    ['data', 'drop', 'mailer.outcome_unknown'],
    ['data', 'lost', 'mailer.outcome_unknown'],
    ['data', 'stall', 'mailer.outcome_unknown'],
  ] as const)('that meets a fault at %s %o gets the verdict %s', async (stage, fault, verdict) => {
    if (fault === 'stall') {
      // What comes before has to fit in as well.
      const { host, port, ca } = server
      const short = stage === 'connect' ? { greetingTimeoutMs: 400 } : { socketTimeoutMs: 1500 }
      await mails.close()
      mails = createMailer(smtp({ host, port, ca, auth, sendTimeoutMs: 20_000, ...short }), { from })
    }
    server.fail(stage, fault, { times: 10 })
    let told = await verdictOf()
    // A machine that stood still for as long has ended it before it came to its fault, and shown nothing.
    while (server.faults === 0) told = await verdictOf()
    expect(told).toBe(verdict)
    expect(server.mails).toHaveLength(fault === 'lost' ? 1 : 0)
  })

  it('goes to those who are taken, and says who is not', async () => {
    server.fail('rcpt', { code: 550, text: '5.1.1 nobody' }, { address: 'eve@example.com' })
    server.fail(
      'rcpt',
      { code: 451, text: '4.7.1 Greylisted, try again in 120 seconds' },
      { address: 'bob@example.com' },
    )
    const receipt = await mails.send({ ...message, cc: 'bob@example.com', bcc: 'eve@example.com' })
    expect(receipt.accepted).toEqual(['ada@example.com'])
    expect(receipt.refused).toMatchObject([
      { address: 'bob@example.com', permanent: false, code: 451, retryAfterMs: 120_000 },
      { address: 'eve@example.com', permanent: true, code: 550 },
    ])
    expect(sentTo()).toEqual(['ada@example.com'])
  })

  it('is not sent with a password that is wrong or that nobody asks for, a certificate of somebody else, or without TLS', async () => {
    const { host, port, ca } = server
    await using plain = await startSmtp({ tls: 'none' })
    await using open = await startSmtp({ auth: false })
    const drivers = [
      smtp({ host, port: open.port, ca: open.ca, auth }),
      smtp({ host, port, ca, auth: { user: 'forge', pass: 'wrong' } }),
      smtp({ host, port, auth }),
      smtp({ host: plain.host, port: plain.port, auth }),
      smtp({ host, port, ca, auth, tls: 'off' }),
    ]
    for (const each of drivers) {
      expect(await each.verify().then(() => 'fine', code)).toBe('mailer.misconfigured')
      const { message: checked, raw } = await mails.preview(message)
      const mail = { envelope: { from: 'a@b.cd', to: ['e@f.gh'] }, messageId: '<a@b.cd>', raw, message: checked }
      expect(await each.deliver(mail, {}).then(() => 'sent', code)).toBe('mailer.misconfigured')
      await each.close()
    }
    expect([...server.mails, ...plain.mails, ...open.mails]).toEqual([])
  })
})

describe('a mail of later', () => {
  let app: TestApp
  beforeEach(async () => {
    app = await createTestApp({ features: [mailer(driver)], env: { MAIL_FROM: from } })
    mails = app.get(mailerPort)
  })
  afterEach(() => app[Symbol.asyncDispose]())

  /** Drains, then lets so much time pass, again and again. */
  async function work(rounds = 6, stepMs = 4 * 3_600_000): Promise<void> {
    await app.jobs.drain({ failing: true })
    for (let round = 1; round < rounds; round++) {
      app.clock.jump(app.clock.now() + stepMs)
      await app.jobs.drain({ failing: true })
    }
  }

  it('is one for its key, whatever is repeated', async () => {
    const added = await Promise.all(Array.from({ length: 5 }, () => mails.sendLater(message, { key: 'a' })))
    expect(added.map((each) => each.added).sort()).toEqual([false, false, false, false, true])
    await work(1)
    expect(await mails.sendLater(message, { key: 'a' })).toMatchObject({ added: false })
    await work(2)
    expect(server.mails).toHaveLength(1)
    expect(await record()).toMatchObject({ state: 'accepted', attempts: 1, error: null })
    expect(server.mails[0]!.raw.toString()).toContain(added[0]!.messageId)
  })

  it('exists when its transaction commits, and not when it does not', async () => {
    const db = app.get(dbPort)
    await expect(
      db.tx(async (tx) => {
        await mails.sendLater(message, { key: 'a' }, tx)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    await db.tx((tx) => mails.sendLater(message, { key: 'b' }, tx))
    await work(1)
    expect(server.mails).toHaveLength(1)
    expect(await mails.sent('a')).toBeUndefined()
  })

  it.each([
    ['mail', { code: 451, text: '4.3.0 busy' }],
    ['rcpt', { code: 450, text: '4.2.0 greylisted' }],
    ['data', { code: 452, text: '4.3.1 disk full' }],
    ['connect', 'drop'],
    ['mail', 'drop'],
  ] as const)('survives faults at %s %o', async (stage, fault) => {
    server.fail(stage, fault, { times: 4 })
    await mails.sendLater(message, { key: 'a' })
    await work()
    expect(server.mails).toHaveLength(1)
    expect(await record()).toMatchObject({ state: 'accepted' })
  })

  it('waits as long as greylisting means, and no attempt comes earlier', async () => {
    server.fail('rcpt', { code: 451, text: '4.7.1 Greylisted, please try again in 300 seconds' })
    await mails.sendLater(message, { key: 'a' })
    await work(1)
    await app.clock.advance(299_000)
    await work(1)
    expect(await record()).toMatchObject({ state: 'queued', attempts: 1 })
    await app.clock.advance(2000)
    await work(1)
    expect(await record()).toMatchObject({ state: 'accepted', attempts: 2 })
    expect(server.mails).toHaveLength(1)
  })

  it('is one mail in the end when the 250 behind DATA is lost', async () => {
    server.fail('data', 'lost')
    await mails.sendLater(message, { key: 'a' })
    await work()
    expect(server.mails).toHaveLength(1)
    expect(await record()).toMatchObject({ state: 'unknown' })
  })

  it('is sent again under its Message-ID after a lost answer, where that is wanted', async () => {
    server.fail('data', 'lost')
    const { messageId } = await mails.sendLater(message, { key: 'a', onUnknown: 'retry' })
    await work()
    expect(server.mails).toHaveLength(2)
    for (const { raw } of server.mails) expect(raw.toString()).toContain(`Message-ID: ${messageId}`)
    expect(await record()).toMatchObject({ state: 'accepted' })
  })

  it('ends when it is refused for good, and can be tried again by hand', async () => {
    server.fail('rcpt', { code: 550, text: '5.1.1 nobody' })
    await mails.sendLater(message, { key: 'a' })
    await work()
    expect(await record()).toMatchObject({ state: 'failed', attempts: 1, error: 'ada@example.com: 550 5.1.1 nobody' })
    expect(server.mails).toEqual([])
    expect(await app.get(jobsPort).redrive()).toBe(1)
    await work(2)
    expect(await record()).toMatchObject({ state: 'accepted' })
  })

  it('reaches each of several recipients once, whoever of them is refused', async () => {
    server.fail('rcpt', { code: 550, text: '5.1.1 nobody' }, { address: 'eve@example.com' })
    server.fail('rcpt', { code: 451, text: '4.7.1 greylisted' }, { address: 'bob@example.com', times: 2 })
    await mails.sendLater({ ...message, to: ['ada@example.com', 'bob@example.com', 'eve@example.com'] }, { key: 'a' })
    await work()
    expect(sentTo()).toEqual(['ada@example.com', 'bob@example.com'])
    expect(await record()).toMatchObject({ state: 'accepted', recipients: [] })
  })

  it('is handed over by one of two runs that both believe they have it', async () => {
    await mails.sendLater(message, { key: 'a' })
    const db = app.get(dbPort)
    const [one, two] = [crypto.randomUUID(), crypto.randomUUID()]
    expect(await claimSend(db, 'a', one, new Date())).toBeDefined()
    expect(await claimSend(db, 'a', two, new Date())).toBeDefined()
    expect(await handOverSend(db, 'a', one, new Date())).toBe(false)
    expect(await handOverSend(db, 'a', two, new Date())).toBe(true)
    expect(await claimSend(db, 'a', one, new Date())).toBeUndefined()
  })

  it('of a run that died before it handed over is sent; of one that died behind it counts as sent', async () => {
    const db = app.get(dbPort)
    for (const key of ['a', 'b']) await mails.sendLater(message, { key })
    const claim = crypto.randomUUID()
    for (const key of ['a', 'b']) await claimSend(db, key, claim, new Date())
    await handOverSend(db, 'b', claim, new Date())
    await work(1)
    expect(await record('a')).toMatchObject({ state: 'accepted' })
    expect(await record('b')).toMatchObject({ state: 'unknown' })
    expect(server.mails).toHaveLength(1)
  })

  it('keeps its content no longer than it has to, and its key as long as is said', async () => {
    await mails.sendLater(message, { key: 'a' })
    await work(1)
    const { rows } = await app.get(dbPort).query('select message from forge_mailer_sends')
    expect(rows).toEqual([{ message: null }])
    const { forget } = mails as unknown as { forget(keepMs: number): Promise<number> }
    await app.clock.advance(60_000)
    expect(await forget(120_000)).toBe(0)
    expect(await forget(30_000)).toBe(1)
  })

  it('says at once what is wrong with it', async () => {
    const wrong = mails.sendLater({ ...message, subject: 'a\r\nBcc: eve@example.com' }, { key: 'a' })
    expect(await wrong.catch(code)).toBe('mailer.message_invalid')
    expect(await mails.sent('a')).toBeUndefined()
  })
})
