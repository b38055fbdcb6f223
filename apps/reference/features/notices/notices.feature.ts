import { defineFeature } from 'tsforge'
import type { Feature } from 'tsforge'
import { accountsPort } from 'tsforge/accounts'
import type { Accounts } from 'tsforge/accounts'
import type { Clock } from 'tsforge/clock'
import type { Log } from 'tsforge/log'
import { mailerErrors, mailerPort } from 'tsforge/mailer'
import type { Mailer, MessageBody } from 'tsforge/mailer'
import { newSignIn, passwordChanged, welcome } from './notice.templates.ts'

/** Welcomes who registers, and tells owners of what they should know about their account. */
export function notices(): Feature {
  return defineFeature({
    name: 'notices',
    needs: { accounts: accountsPort, mailer: mailerPort },
    setup: ({ accounts, mailer, clock, log }) => listenForNotices(accounts, mailer, clock, log),
    stop: (end) => end(),
  })
}

type User = NonNullable<Awaited<ReturnType<Accounts['find']>>>

/** Each mail commits with what it tells of, and goes out once. */
function listenForNotices(accounts: Accounts, mailer: Mailer, clock: Clock, log: Log): () => void {
  const write = async (
    userId: string,
    tx: Parameters<Mailer['sendLater']>[2] & {},
    key: string,
    render: (user: User) => Promise<MessageBody>,
  ): Promise<void> => {
    const user = await accounts.find(userId, tx)
    if (user === undefined) return
    const message = { to: { name: user.name, address: user.email }, ...(await render(user)) }
    await mailer.sendLater(message, { key }, tx).catch((error: unknown) => {
      // Not every address of an account can get mails; nobody is locked out for that.
      if (!mailerErrors.is(error, 'mailer.message_invalid')) throw error
      log.warn({ err: error, userId }, 'a notice cannot be sent')
    })
  }
  const at = (): string => `${new Date(clock.now()).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  return accounts.listen({
    registered: ({ userId }, tx) => write(userId, tx, `welcome:${userId}`, ({ name }) => welcome.render({ name })),
    passwordChanged: ({ userId }, tx) =>
      write(userId, tx, `password:${userId}:${clock.now()}`, ({ name }) => passwordChanged.render({ name, at: at() })),
    async loggedIn({ userId, sessionId, ip, userAgent, knownNetwork }, tx) {
      if (knownNetwork) return
      const [address, device] = [ip ?? '?', (userAgent ?? '?').slice(0, 200)]
      await write(userId, tx, `sign-in:${sessionId}`, ({ name }) =>
        newSignIn.render({ name, at: at(), ip: address, device }),
      )
    },
  })
}
