import { silentLog } from '../../../kernel/log.ts'
import { startSmtp } from '../../../testing/smtp-server.ts'
import { mailerContract } from '../contract.ts'
import type { MailerLab } from '../contract.ts'
import { failover } from '../drivers/failover.ts'
import { log } from '../drivers/log.ts'
import { memory } from '../drivers/memory.ts'
import { smtp } from '../drivers/smtp.ts'

const nothing = { [Symbol.asyncDispose]: async (): Promise<void> => {} }

function inMemory(): MailerLab {
  const driver = memory()
  const received = (): { to: readonly string[]; raw: Buffer }[] =>
    driver.inbox.mails.map(({ envelope, raw }) => ({ to: envelope.to, raw }))
  return { driver, received, ...nothing }
}

mailerContract({ name: 'memory', create: inMemory })
mailerContract({ name: 'log', create: () => ({ driver: log({ log: silentLog }), ...nothing }) })
mailerContract({
  name: 'failover',
  create: () => {
    const lab = inMemory()
    return { ...lab, driver: failover([lab.driver, memory()]) }
  },
})
for (const tls of ['starttls', 'implicit', 'none'] as const)
  mailerContract({
    name: `smtp, ${tls}`,
    create: async () => {
      const server = await startSmtp({ tls })
      const { host, port, ca } = server
      const auth = { user: 'forge', pass: 'secret' }
      const driver = smtp({
        host,
        port,
        ca,
        auth,
        secure: tls === 'implicit',
        tls: tls === 'none' ? 'off' : 'required',
      })
      return { driver, received: () => server.mails, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
    },
  })
