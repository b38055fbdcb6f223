import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createMailer } from './create-mailer.ts'
import type { RunningMailer } from './create-mailer.ts'
import type { MailDriver } from './driver.ts'

export interface MailerContract {
  readonly name: string
  create(): MailerLab | Promise<MailerLab>
}

export interface MailerLab extends AsyncDisposable {
  readonly driver: MailDriver
  /** What has arrived. Absent where nothing arrives anywhere. */
  received?(): readonly { readonly to: readonly string[]; readonly raw: Buffer }[]
}

/** The exam of a mail driver. Call it in a vitest file of your own. */
export function mailerContract({ name, create }: MailerContract): void {
  describe(`mailer contract: ${name}`, () => {
    let lab: MailerLab
    let mailer: RunningMailer
    beforeEach(async () => {
      lab = await create()
      mailer = createMailer(lab.driver, { from: 'Forge <forge@example.com>' })
    })
    afterEach(async () => {
      await mailer.close()
      await lab[Symbol.asyncDispose]()
    })
    const count = (): number | undefined => lab.received?.().length
    const expected = (mails: number): number | undefined => (lab.received === undefined ? undefined : mails)
    const envelope = { from: 'forge@example.com', to: ['ada@example.com'] }
    const deliver = async (options: Parameters<MailDriver['deliver']>[1]): ReturnType<MailDriver['deliver']> => {
      const { message, raw } = await mailer.preview({ to: 'ada@example.com', subject: 'Hello', text: 'Hi' })
      return lab.driver.deliver({ envelope, messageId: message.messageId, message, raw }, options)
    }

    it('takes a mail for all of its recipients, hidden ones too', async () => {
      const subject = `Grüße ${randomUUID()}`
      const receipt = await mailer.send({
        to: 'ada@example.com',
        cc: 'bob@example.com',
        bcc: 'eve@example.com',
        subject,
        text: 'a\n.\nb',
      })
      expect(receipt).toMatchObject({ refused: [], suppressed: [] })
      expect(receipt.accepted).toEqual(['ada@example.com', 'bob@example.com', 'eve@example.com'])
      const received = lab.received?.()
      if (received === undefined) return
      expect(received.map(({ to }) => to)).toEqual([['ada@example.com', 'bob@example.com', 'eve@example.com']])
      const text = received[0]!.raw.toString()
      expect(text).toContain(receipt.messageId)
      expect(text).not.toContain('eve')
    })

    it('waits for whoever writes down that the mail is handed over', async () => {
      const seen: (number | undefined)[] = []
      const beforeHandOver = async (): Promise<void> => void seen.push(count())
      await deliver({ beforeHandOver })
      expect(seen).toEqual([expected(0)])
      expect(count()).toBe(expected(1))
    })

    it('hands nothing over when that fails, and goes on with the next', async () => {
      const beforeHandOver = (): Promise<void> => Promise.reject(new Error('no note, no mail'))
      await expect(deliver({ beforeHandOver })).rejects.toThrow('no note, no mail')
      expect(count()).toBe(expected(0))
      await deliver({})
      expect(count()).toBe(expected(1))
    })

    it('does nothing for whoever has given up', async () => {
      await expect(deliver({ signal: AbortSignal.abort(new Error('gone')) })).rejects.toThrow('gone')
      expect(count()).toBe(expected(0))
    })

    it('takes many at the same time', async () => {
      const to = Array.from({ length: 25 }, (_, at) => `user${at}@example.com`)
      const results = await mailer.sendMany(to, { subject: 'Hello', text: 'Hi' }, { concurrency: 25 })
      expect(results.filter((result) => 'receipt' in result)).toHaveLength(25)
      expect(
        lab
          .received?.()
          .flatMap((mail) => mail.to)
          .sort(),
      ).toEqual(lab.received && to.sort())
    })

    it('says whether it could deliver', async () => {
      await lab.driver.verify()
      expect(count()).toBe(expected(0))
    })
  })
}
