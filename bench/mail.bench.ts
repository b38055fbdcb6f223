/** Mails per second over connections that stay open, against nodemailer with a connection for each mail, both with STARTTLS and AUTH. */
import { createMailer } from 'tsforge/mailer'
import { smtp } from 'tsforge/mailer/smtp'
import { startSmtp } from 'tsforge/testing/smtp-server'
import type { Bench, Settings } from './bench.ts'
import { claim } from './statistics.ts'
import type { Claim } from './statistics.ts'

/** Mails in flight, and connections at the same time, for both. */
const parallel = 5
const mail = {
  to: 'Ada Lovelace <ada@example.com>',
  subject: 'Hello',
  text: 'Your account is ready.\n',
  html: '<p>Your account is ready.</p>',
}

async function rate(send: () => Promise<unknown>, seconds: number): Promise<number> {
  const begun = performance.now()
  const end = begun + seconds * 1000
  let done = 0
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      await send()
      done++
    }
  }
  await Promise.all(Array.from({ length: parallel }, lane))
  return (done * 1000) / (performance.now() - begun)
}

async function run({ rounds, seconds, note }: Settings): Promise<Claim[]> {
  await using server = await startSmtp()
  const { host, port, ca } = server
  const auth = { user: 'forge', pass: 'secret' }
  const from = 'forge@example.com'
  const pooled = createMailer(smtp({ host, port, ca, auth, connections: parallel, messagesPerConnection: 1000 }), {
    from,
  })
  const { createTransport } = await import('nodemailer')
  const each = createTransport({ host, port, secure: false, requireTLS: true, auth, tls: { ca } })
  const contestants = [
    { name: 'ours', send: () => pooled.send(mail) },
    { name: 'a connection for each', send: () => each.sendMail({ from, ...mail }) },
  ]
  const results = new Map(contestants.map(({ name }) => [name, [] as number[]]))
  try {
    for (let round = -1; round < rounds; round++) {
      const measured: string[] = []
      for (let turn = 0; turn < contestants.length; turn++) {
        // Another one begins each round.
        const { name, send } = contestants[(turn + round + 1) % contestants.length]!
        const before = server.mails.length
        const value = await rate(send, seconds)
        if (server.mails.length === before) throw new Error(`${name}: nothing arrived`)
        if (round >= 0) results.get(name)!.push(value)
        measured.push(`${name} ${Math.round(value)}/s`)
      }
      note(`${round < 0 ? 'warm' : `round ${round + 1} of ${rounds}`}: ${measured.sort().join(', ')}`)
    }
    if (!server.mails.every(({ secure, user }) => secure && user === 'forge'))
      throw new Error('some mails were not protected')
    return [claim('mail.pooled.connection_each', results.get('ours')!, results.get('a connection for each')!)]
  } finally {
    await pooled.close()
    each.close()
  }
}

export const bench: Bench = { bars: { 'mail.pooled.connection_each': { atLeast: 10 } }, run }
