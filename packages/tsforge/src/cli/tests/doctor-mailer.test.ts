import { describe, expect, it } from 'vitest'
import { failover } from '../../primitives/mailer/drivers/failover.ts'
import { memory } from '../../primitives/mailer/drivers/memory.ts'
import { smtp } from '../../primitives/mailer/drivers/smtp.ts'
import type { SmtpSettings } from '../../primitives/mailer/drivers/smtp.ts'
import { createMailer } from '../../primitives/mailer/index.ts'
import type { MailDriver } from '../../primitives/mailer/index.ts'
import { startSmtp } from '../../testing/smtp-server.ts'
import { examineMailer } from '../doctor/mailer.ts'
import type { Finding } from '../doctor/finding.ts'

const auth = { user: 'forge', pass: 'secret' }

async function examined(driver: MailDriver): Promise<Finding> {
  const mailer = createMailer(driver)
  try {
    return await examineMailer(mailer)
  } finally {
    await mailer.close()
  }
}

describe('forge doctor on the mail server', () => {
  it('shakes hands, signs in and sends nothing', async () => {
    await using server = await startSmtp()
    const { host, port, ca } = server
    expect(await examined(smtp({ host, port, ca, auth }))).toMatchObject({
      name: 'mailer',
      state: 'ok',
      detail: expect.stringMatching(/^smtp: connected and signed in within \d+ ms$/),
    })
    expect([server.connections, server.mails]).toEqual([1, []])
  })

  it('says what is wrong, and never the password', async () => {
    await using server = await startSmtp()
    await using plain = await startSmtp({ tls: 'none' })
    await using open = await startSmtp({ auth: false })
    const { host, port, ca } = server
    const wrong: readonly (readonly [Partial<SmtpSettings>, RegExp])[] = [
      [{ auth: { user: 'forge', pass: 'hunter2' } }, /535/],
      [{ port: plain.port }, /STARTTLS/i],
      [{ port: open.port, ca: open.ca }, /AUTH|login|50\d/i],
      [{ ca: '' }, /certificate/i],
      [{ port: 1 }, /ECONNREFUSED/],
    ]
    for (const [more, detail] of wrong) {
      const finding = await examined(smtp({ host, port, ca, auth, ...more }))
      expect(finding).toMatchObject({ state: 'failed', detail: expect.stringMatching(detail) })
      expect(JSON.stringify(finding)).not.toMatch(/hunter2|secret/)
    }
    expect(await examined(failover([smtp({ host, port, ca, auth }), smtp({ host, port: 1 })]))).toMatchObject({
      state: 'failed',
      detail: expect.stringMatching(/ECONNREFUSED/),
    })
  })

  it('says that mails reach nobody where they are kept', async () => {
    expect(await examined(memory())).toMatchObject({ state: 'ok', detail: 'memory: mails reach nobody' })
  })
})
