import { describe, expect, it } from 'vitest'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import { Webhook } from 'standardwebhooks'
import { basicAuth, sns as bySns, standard } from '../../webhooks-in/index.ts'
import { amazon, notification, signedBySns, topic } from '../../webhooks-in/tests/sns-amazon.ts'
import { mail, mailPort, postmarkFeedback, resendFeedback, sesFeedback } from '../index.ts'
import { accounts } from '../../accounts/index.ts'

const sns = (message: object): object => ({ Type: 'Notification', Message: JSON.stringify(message) })
const told = { messageId: 'm1' }

describe('feedback', () => {
  it.each([
    [
      'bounces of SES',
      sesFeedback(
        sns({
          notificationType: 'Bounce',
          mail: told,
          bounce: {
            bounceType: 'Permanent',
            bouncedRecipients: [{ emailAddress: 'a@b.cd', diagnosticCode: '550 no' }],
          },
        }),
      ),
      [{ kind: 'bounce', permanent: true, address: 'a@b.cd', messageId: 'm1', detail: '550 no' }],
    ],
    [
      'bounces of SES that pass, as they come raw',
      sesFeedback({
        eventType: 'Bounce',
        bounce: {
          bounceType: 'Transient',
          bounceSubType: 'MailboxFull',
          bouncedRecipients: [{ emailAddress: 'a@b.cd' }],
        },
      }),
      [{ kind: 'bounce', permanent: false, address: 'a@b.cd', messageId: undefined, detail: 'MailboxFull' }],
    ],
    [
      'complaints of SES',
      sesFeedback(
        sns({
          notificationType: 'Complaint',
          mail: told,
          complaint: { complainedRecipients: [{ emailAddress: 'A <a@b.cd>' }] },
        }),
      ),
      [{ kind: 'complaint', permanent: true, address: 'a@b.cd', messageId: 'm1', detail: undefined }],
    ],
    [
      'bounces of Postmark',
      postmarkFeedback({
        RecordType: 'Bounce',
        Type: 'HardBounce',
        Email: 'a@b.cd',
        MessageID: 'm1',
        Description: 'no',
      }),
      [{ kind: 'bounce', permanent: true, address: 'a@b.cd', messageId: 'm1', detail: 'no' }],
    ],
    [
      'complaints of Postmark',
      postmarkFeedback({ RecordType: 'SpamComplaint', Email: 'a@b.cd' }),
      [{ kind: 'complaint', permanent: true, address: 'a@b.cd', messageId: undefined, detail: undefined }],
    ],
    [
      'complaints of Resend',
      resendFeedback({ type: 'email.complained', data: { email_id: 'm1', to: ['a@b.cd'] } }),
      [{ kind: 'complaint', permanent: true, address: 'a@b.cd', messageId: 'm1', detail: undefined }],
    ],
  ])('reads %s', (_, feedback, expected) => {
    expect(feedback).toEqual(expected)
  })

  it('makes nothing of anything else', () => {
    const strange = [null, undefined, 1, 'x', [], {}, { Message: '{' }, { Message: '"x"' }, { type: 'email.bounced' }]
    for (const read of [sesFeedback, postmarkFeedback, resendFeedback])
      for (const body of [
        ...strange,
        { notificationType: 'Bounce', bounce: { bouncedRecipients: [null, { emailAddress: 5 }] } },
      ])
        expect(read(body)).toEqual([])
  })

  it('comes in as a webhook, verified, and suppresses', async () => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
    const feedback = [{ name: 'resend', provider: 'resend', verifier: standard(), secrets: [secret] }] as const
    await using app = await createTestApp({ features: [accounts(), mail({ feedback })] })
    const payload = JSON.stringify({
      type: 'email.bounced',
      data: { to: ['a@b.example'], bounce: { type: 'Permanent' } },
    })
    const signedAt = new Date(app.clock.now())
    const post = (signature: string): Promise<number> =>
      app.http
        .inject({
          method: 'POST',
          url: '/api/v1/hooks/resend',
          payload,
          headers: {
            'content-type': 'application/json',
            'webhook-id': 'msg_1',
            'webhook-timestamp': String(Math.floor(signedAt.getTime() / 1000)),
            'webhook-signature': signature,
          },
        })
        .then(({ statusCode }) => statusCode)
    expect(await post('v1,AAAA')).toBe(401)
    expect(await post(new Webhook(secret).sign('msg_1', signedAt, payload))).toBeLessThan(300)
    await app.jobs.drain()
    expect(await app.get(mailPort).isSuppressed('A@b.example')).toBe(true)
  })

  it('of SES comes in through SNS as it is, verified, and suppresses', async () => {
    const aws = amazon()
    const feedback = [{ name: 'ses', provider: 'ses', verifier: bySns(), secrets: [topic] }] as const
    await using app = await createTestApp({ features: [accounts(), mail({ feedback }), aws.feature] })
    const { post, suppressed } = hookOf(app, 'ses')
    const bounce = { bounceType: 'Permanent', bouncedRecipients: [{ emailAddress: 'a@b.example' }] }
    const fields = notification(app.clock.now(), {
      Message: JSON.stringify({ notificationType: 'Bounce', mail: told, bounce }),
    })
    const headers = { 'content-type': 'text/plain; charset=UTF-8', 'x-amz-sns-message-type': 'Notification' }
    const body = signedBySns(fields)
    expect(await post(body.replace('a@b.example', 'c@d.example'), headers)).toBe(401)
    expect(await post(body, headers)).toBe(202)
    expect(await post(body, headers)).toBe(202)
    expect(await app.jobs.drain()).toBe(1)
    expect([await suppressed('A@b.example'), await suppressed('c@d.example')]).toEqual([true, false])
  })

  it('of Postmark comes in with user and password, and suppresses', async () => {
    const verifier = basicAuth({ id: { field: 'ID' }, event: { field: 'RecordType' } })
    const secrets = ['postmark:a password that two sides share']
    const feedback = [{ name: 'postmark', provider: 'postmark', verifier, secrets }] as const
    await using app = await createTestApp({ features: [accounts(), mail({ feedback })] })
    const { post, suppressed } = hookOf(app, 'postmark')
    const body = JSON.stringify({ RecordType: 'Bounce', ID: 42, Type: 'HardBounce', Email: 'a@b.example' })
    const as = (pair: string): Record<string, string> => ({
      'content-type': 'application/json',
      authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
    })
    expect(await post(body, as('postmark:a password of somebody else'))).toBe(401)
    expect(await post(body, as(secrets[0]!))).toBe(202)
    expect(await post(body, as(secrets[0]!))).toBe(202)
    expect(await app.jobs.drain()).toBe(1)
    expect(await suppressed('A@b.example')).toBe(true)
  })
})

function hookOf(
  app: TestApp,
  name: string,
): {
  post(payload: string, headers: Record<string, string>): Promise<number>
  suppressed(address: string): Promise<boolean>
} {
  return {
    post: async (payload, headers) =>
      (await app.http.inject({ method: 'POST', url: `/api/v1/hooks/${name}`, payload, headers })).statusCode,
    suppressed: (address) => app.get(mailPort).isSuppressed(address),
  }
}
