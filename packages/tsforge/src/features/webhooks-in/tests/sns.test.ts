import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { cert as elliptic, key as ellipticKey } from '../../../primitives/egress/tests/certificate.ts'
import { sns } from '../sns.ts'
import { readSnsMessage } from '../sns-message.ts'
import { defineWebhookSource } from '../source.ts'
import { openLab, sender } from './setup.ts'
import type { Lab, Send } from './setup.ts'
import { amazon, certificateUrl, confirmation, notification, signedBySns, topic } from './sns-amazon.ts'
import { cert, expired, key, weak, weakKey } from './sns-certificate.ts'

const [one, two] = [randomUUID(), randomUUID()]
const foreign = 'arn:aws:sns:eu-west-1:999999999999:mails'
const other = 'arn:aws:sns:eu-west-1:123456789012:others'
const aws = amazon()
const stranger = String(
  generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
)

let lab: Lab
let send: Send
let now: () => number
beforeAll(async () => {
  lab = await openLab(
    [
      { name: 'sns', verifier: sns(), secrets: [other, topic] },
      { name: 'modern', verifier: sns({ sha1: false, event: 'notificationType' }), secrets: [topic] },
      { name: 'fresh', verifier: sns(), secrets: [topic] },
      { name: 'strict', verifier: sns(), secrets: [topic], toleranceMs: 60_000 },
      {
        name: 'tenants',
        verifier: sns(),
        perTenant: true,
        secrets: ({ tenantId }) => (tenantId === one ? [topic] : tenantId === two ? [other] : []),
      },
    ],
    {},
    [aws.feature],
  )
  send = sender(lab.app)
  now = () => lab.app.clock.now()
})
beforeEach(() => {
  aws.calls.length = 0
})
afterAll(() => lab?.[Symbol.asyncDispose]())

/** As SNS sends: the type of its content is text. */
const post = (body: string, path = 'sns', headers: Record<string, string> = {}) =>
  send(path, body, { 'content-type': 'text/plain; charset=UTF-8', ...headers })
const elsewhere = (name: string): string => certificateUrl.replace('0a1b2c3d', name)

describe('what SNS signs', () => {
  it('is the text that AWS documents, for notifications with and without a subject and for confirmations', () => {
    const given = {
      Type: 'Notification',
      MessageId: '4d4dc071-ddbf-465d-bba8-08f81c89da64',
      TopicArn: 'arn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P',
      Subject: 'My subject',
      Message: 'My Test Message',
      Timestamp: '2019-01-31T04:37:04.321Z',
      Signature: 'A'.repeat(344),
      SignatureVersion: '1',
      SigningCertURL: certificateUrl,
    }
    const read = (fields: object) => readSnsMessage(JSON.stringify(fields)) as { readonly signed: string }
    const head = 'Message\nMy Test Message\nMessageId\n4d4dc071-ddbf-465d-bba8-08f81c89da64\n'
    const tail =
      'Timestamp\n2019-01-31T04:37:04.321Z\nTopicArn\narn:aws:sns:us-east-2:123456789012:s4-MySNSTopic-1G1WEFCOXTC0P\nType\nNotification\n'
    expect(read(given).signed).toBe(`${head}Subject\nMy subject\n${tail}`)
    expect(read({ ...given, Subject: undefined }).signed).toBe(head + tail)
    expect(read({ ...given, Subject: null }).signed).toBe(head + tail)
    const SubscribeURL = `https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${given.TopicArn}&Token=2336412f`
    const asked = read({ ...given, Type: 'SubscriptionConfirmation', Token: '2336412f', SubscribeURL })
    expect(asked.signed).toBe(
      `${head}SubscribeURL\n${SubscribeURL}\nTimestamp\n2019-01-31T04:37:04.321Z\nToken\n2336412f\nTopicArn\n${given.TopicArn}\nType\nSubscriptionConfirmation\n`,
    )
  })

  it.each(['1', '2'])('is accepted in version %s, once, under its MessageId', async (version) => {
    const fields = notification(now(), { Subject: 'Größe ✓', Message: 'a\nMessageId\nb "ü"' })
    const body = signedBySns(fields, { version })
    expect(await post(body)).toMatchObject({ status: 202, body: { status: 'accepted' } })
    expect(await post(body)).toMatchObject({ status: 202, body: { status: 'repeated' } })
    const [record] = (await lab.service.list({ source: 'sns' })).items
    expect(record).toMatchObject({
      deliveryId: fields['MessageId'],
      event: 'Notification',
      signedAt: new Date(Math.floor(now() / 1000) * 1000),
    })
    await lab.app.jobs.drain()
    expect(lab.handled.at(-1)!.delivery.json()).toMatchObject({ Message: fields['Message'] })
  })

  it('an id stands for one delivery, whatever unsigned fields are added or taken away', async () => {
    const fields = notification(now())
    const altered = JSON.parse(signedBySns(fields)) as Record<string, unknown>
    expect((await post(signedBySns(fields))).body['status']).toBe('accepted')
    expect((await post(JSON.stringify({ ...altered, UnsubscribeURL: undefined, Extra: 1 }))).body['status']).toBe(
      'repeated',
    )
  })

  it('SHA-1 is refused where the source says so; the kind of event is found in the message', async () => {
    const fields = notification(now())
    expect(await post(signedBySns(fields, { version: '1' }), 'modern')).toMatchObject({ status: 401 })
    expect(await post(signedBySns(fields), 'modern')).toMatchObject({ status: 202 })
    expect((await lab.service.list({ source: 'modern' })).items[0]!.event).toBe('Bounce')
    expect(await post(signedBySns(notification(now(), { Message: 'no JSON' })), 'modern')).toMatchObject({
      status: 202,
    })
    expect((await lab.service.list({ source: 'modern' })).items[0]!.event).toBe('Notification')
  })
})

describe('what SNS has not signed', () => {
  const change = (fields: Record<string, unknown>) => () =>
    JSON.stringify({ ...(JSON.parse(signedBySns(notification(now(), { Subject: 's' }))) as object), ...fields })
  it.each<[string, () => string, string]>([
    ['no JSON', () => 'Message', 'signature_missing'],
    ['a list', () => '[]', 'signature_missing'],
    ['no signature', change({ Signature: undefined }), 'signature_missing'],
    ['an empty signature', change({ Signature: '' }), 'signature_invalid'],
    ['a signature that is a list', change({ Signature: ['A'.repeat(344)] }), 'signature_invalid'],
    ['another signature', change({ Signature: 'A'.repeat(344) }), 'signature_invalid'],
    ['an endless signature', change({ Signature: 'A'.repeat(50_000) }), 'signature_invalid'],
    ['another message', change({ Message: '{"notificationType":"Complaint"}' }), 'signature_invalid'],
    ['a message that is an object', change({ Message: { notificationType: 'Bounce' } }), 'signature_invalid'],
    ['no message', change({ Message: undefined }), 'signature_invalid'],
    ['another id', change({ MessageId: randomUUID() }), 'signature_invalid'],
    ['another subject', change({ Subject: 't' }), 'signature_invalid'],
    ['no subject', change({ Subject: undefined }), 'signature_invalid'],
    ['a subject of two lines', change({ Subject: 's\nTimestamp' }), 'signature_invalid'],
    ['another time', () => change({ Timestamp: new Date(now() - 1).toISOString() })(), 'signature_invalid'],
    ['a time that is none', change({ Timestamp: '2026-99-99T00:00:00.000Z' }), 'signature_invalid'],
    ['another topic of ours', change({ TopicArn: other }), 'signature_invalid'],
    ['another type', change({ Type: 'UnsubscribeConfirmation' }), 'signature_invalid'],
    ['an unknown type', change({ Type: 'constructor' }), 'signature_invalid'],
    ['an unknown version', change({ SignatureVersion: '3' }), 'signature_invalid'],
    ['the other version', change({ SignatureVersion: '1' }), 'signature_invalid'],
    ['a topic of somebody else', () => signedBySns(notification(now(), { TopicArn: foreign })), 'signature_invalid'],
    ['a key of somebody else', () => signedBySns(notification(now()), { by: stranger }), 'signature_invalid'],
    ['from ninety-one minutes ago', () => signedBySns(notification(now() - 91 * 60_000)), 'timestamp_invalid'],
    ['from six minutes ahead', () => signedBySns(notification(now() + 6 * 60_000)), 'timestamp_invalid'],
  ])('%s: refused', async (_, make, code) => {
    const before = (await lab.service.list({}, { limit: 1000 })).items.length
    expect(await post(make())).toMatchObject({ status: 401, code: `webhooks_in.${code}` })
    expect((await lab.service.list({}, { limit: 1000 })).items).toHaveLength(before)
  })

  it('what was sent again for an hour is taken, unless the source says less', async () => {
    const body = signedBySns(notification(now() - 61 * 60_000))
    expect(await post(body)).toMatchObject({ status: 202 })
    expect(await post(body, 'strict')).toMatchObject({ status: 401, code: 'webhooks_in.timestamp_invalid' })
  })

  it('raw delivery is refused with what to do', async () => {
    const answer = await post('{"notificationType":"Bounce"}', 'sns', { 'x-amz-sns-rawdelivery': 'true' })
    expect(answer).toMatchObject({ status: 401, code: 'webhooks_in.raw_delivery' })
    expect(lab.app.metrics.render()).toMatch(/forge_webhooks_in_total\{source="sns",result="raw"\} 1/)
  })

  it('topics are those of one tenant; unknown tenants and topics get the same answer, and nothing is fetched', async () => {
    const mine = signedBySns(notification(now()))
    expect(await post(mine, `tenants/${one}`)).toMatchObject({ status: 202 })
    aws.calls.length = 0
    const answers = await Promise.all(
      [two, randomUUID(), 'nobody'].map((tenant) =>
        post(signedBySns(notification(now()), { url: elsewhere('ffff') }), `tenants/${tenant}`),
      ),
    )
    expect(new Set(answers.map((answer) => JSON.stringify({ ...answer.body, request_id: '' }))).size).toBe(1)
    expect(answers[0]).toMatchObject({ status: 401, code: 'webhooks_in.signature_invalid' })
    expect(aws.calls).toEqual([])
  })

  it('a source whose topic is none does not start', () => {
    for (const arn of ['*', 'arn:aws:sns:*:*:*', `${topic}\n`, 'arn:aws:sqs:eu-west-1:123456789012:mails', ''])
      expect(() =>
        defineWebhookSource({ name: 'bad', verifier: sns(), secrets: [arn], handler: () => {} }),
      ).toThrowError(/no ARN of a topic/)
  })
})

describe('addresses of certificates', () => {
  const file = 'SimpleNotificationService-0a1b2c3d.pem'
  it.each([
    `http://sns.eu-west-1.amazonaws.com/${file}`,
    `ftp://sns.eu-west-1.amazonaws.com/${file}`,
    `//sns.eu-west-1.amazonaws.com/${file}`,
    `https:sns.eu-west-1.amazonaws.com/${file}`,
    `https:\\\\sns.eu-west-1.amazonaws.com/${file}`,
    `https://example.com/${file}`,
    `https://amazonaws.com/${file}`,
    `https://sns.amazonaws.com/${file}`,
    `https://s3.eu-west-1.amazonaws.com/${file}`,
    `https://sns.eu-west-1.s3.amazonaws.com/${file}`,
    `https://evil.sns.eu-west-1.amazonaws.com/${file}`,
    `https://sns.evil.amazonaws.com/${file}`,
    `https://sns.evil.amazonaws.com.evil.com/${file}`,
    `https://sns.eu-west-1.amazonaws.com.evil/${file}`,
    `https://sns.eu-west-1.amazonaws.com.evil.com/${file}`,
    `https://sns.eu-west-1.amazonaws.com.cn.evil.com/${file}`,
    `https://snsXeu-west-1.amazonaws.com/${file}`,
    `https://sns.eu-west-1xamazonaws.com/${file}`,
    `https://sns.eu-west-1.amazonaws.com./${file}`,
    `https://sns.eu-west-1.amazonaws.com:8443/${file}`,
    `https://sns.eu-west-1.amazonaws.com:443@evil.com/${file}`,
    `https://sns.eu-west-1.amazonaws.com@evil.com/${file}`,
    `https://user:password@sns.eu-west-1.amazonaws.com/${file}`,
    `https://evil.com#sns.eu-west-1.amazonaws.com/${file}`,
    `https://evil.com\\.sns.eu-west-1.amazonaws.com/${file}`,
    `https://evil.com/sns.eu-west-1.amazonaws.com/${file}`,
    `https://evil.com?sns.eu-west-1.amazonaws.com/${file}`,
    `https://sns%2eeu-west-1%2eamazonaws%2ecom/${file}`,
    `https://sns。eu-west-1。amazonaws。com/${file}`,
    `https://sns.eu-west-1․amazonaws.com/${file}`,
    `https://ѕns.eu-west-1.amazonaws.com/${file}`,
    `https://SNS.eu-west-1.amazonaws.com/${file}`,
    `https://127.0.0.1/${file}`,
    `https://[::1]/${file}`,
    `https://2130706433/${file}`,
    `https://localhost/${file}`,
    ` https://sns.eu-west-1.amazonaws.com/${file}`,
    `https://sns.eu-west-1.amazonaws.com/${file}\n`,
    `https://sns.eu-west-1.am\tazonaws.com/${file}`,
    `https://sns.eu-west-1.amazonaws.com/${file}?a=b`,
    `https://sns.eu-west-1.amazonaws.com/${file}#a`,
    'https://sns.eu-west-1.amazonaws.com/?Action=Publish&Message=x.pem',
    'https://sns.eu-west-1.amazonaws.com/a/../b.pem',
    'https://sns.eu-west-1.amazonaws.com/a%2fb.pem',
    'https://sns.eu-west-1.amazonaws.com/certificate',
    'https://sns.eu-west-1.amazonaws.com/.pem',
    'file:///etc/ssl/cert.pem',
    'data:text/plain,x.pem',
    '',
  ])('%j is not fetched', async (url) => {
    aws.answers.set(url, cert)
    expect(await post(signedBySns(notification(now()), { url }), 'fresh')).toMatchObject({
      status: 401,
      code: 'webhooks_in.signature_invalid',
    })
    aws.answers.delete(url)
    expect(aws.calls).toEqual([])
  })

  it.each([
    `https://sns.us-gov-west-1.amazonaws.com/${file}`,
    `https://sns.cn-north-1.amazonaws.com.cn/${file}`,
    'https://sns.ap-southeast-2.amazonaws.com/SimpleNotificationService.pem',
  ])('%s is', async (url) => {
    aws.answers.set(url, cert)
    expect(await post(signedBySns(notification(now()), { url }), 'fresh')).toMatchObject({ status: 202 })
    expect(aws.calls).toEqual([url])
  })
})

describe('certificates', () => {
  it('are fetched once, for fifty at the same time and for all that follow', async () => {
    const { scheme } = sns()
    const gate = Promise.withResolvers<void>()
    let calls = 0
    const fetch = () => {
      calls += 1
      return gate.promise.then(() => ({ status: 200, body: Buffer.from(cert) }) as never)
    }
    const verify = async () =>
      scheme.verify(
        [scheme.key(topic)],
        { headers: {}, body: signedBySns(notification(now())), nowMs: now() },
        { egress: { fetch }, log: lab.app.log },
      )
    const verdicts = Array.from({ length: 50 }, verify)
    gate.resolve()
    for (const verdict of await Promise.all(verdicts)) expect(verdict).toMatchObject({ ok: true })
    expect(await verify()).toMatchObject({ ok: true })
    expect(calls).toBe(1)
  })

  it.each<[string, string | number | undefined]>([
    ['cannot be reached', undefined],
    ['is busy', 503],
    ['leads elsewhere', 302],
  ])('where Amazon %s it is 503, so that SNS sends again, and then it is taken', async (name, answer) => {
    const url = elsewhere(name.replaceAll(' ', '-'))
    if (answer !== undefined) aws.answers.set(url, answer)
    const body = signedBySns(notification(now()), { url })
    expect(await post(body)).toMatchObject({ status: 503, code: 'webhooks_in.unavailable' })
    aws.answers.set(url, cert)
    expect(await post(body)).toMatchObject({ status: 202, body: { status: 'accepted' } })
  })

  it.each<[string, string, string]>([
    ['is over', expired, key],
    ['has a short key', weak, weakKey],
    ['is of another kind', elliptic, ellipticKey],
    ['is none', '<Error/>', key],
  ])('one that %s proves nothing', async (name, pem, by) => {
    const url = elsewhere(name.replaceAll(' ', '-'))
    aws.answers.set(url, pem)
    expect(await post(signedBySns(notification(now()), { url, by }))).toMatchObject({
      status: 401,
      code: 'webhooks_in.signature_invalid',
    })
  })

  it('one that is over in the meantime proves nothing either, and before its time neither', async () => {
    const { scheme } = sns()
    const verify = (nowMs: number) =>
      scheme.verify(
        [scheme.key(topic)],
        { headers: {}, body: signedBySns(notification(nowMs)), nowMs },
        { egress: { fetch: async () => ({ status: 200, body: Buffer.from(cert) }) as never }, log: lab.app.log },
      )
    expect(await verify(Date.UTC(2100, 0))).toMatchObject({ ok: true })
    expect(await verify(Date.UTC(2120, 1))).toEqual({ ok: false, reason: 'mismatch' })
    expect(await verify(Date.UTC(2019, 1))).toEqual({ ok: false, reason: 'mismatch' })
  })

  it('strangers who name addresses without end have few fetched at a time, and none of them kept', async () => {
    const gate = Promise.withResolvers<void>()
    const urls = Array.from({ length: 12 }, (_, n) => elsewhere(`none-${n}`))
    for (const url of urls) aws.answers.set(url, () => gate.promise.then(() => '<Error/>'))
    const forged = urls.map((url) => post(signedBySns(notification(now()), { url, by: stranger }), 'fresh'))
    const refusals = await Promise.all(forged.slice(4))
    expect(refusals.map(({ status }) => status)).toEqual(urls.slice(4).map(() => 503))
    gate.resolve()
    expect((await Promise.all(forged.slice(0, 4))).map(({ status }) => status)).toEqual([401, 401, 401, 401])
    expect(aws.calls).toEqual(urls.slice(0, 4))
    expect(await post(signedBySns(notification(now())), 'fresh')).toMatchObject({ status: 202 })
  })
})

describe('a subscription', () => {
  it.each(['1', '2'])('is confirmed by itself, and the handler hears nothing of it (version %s)', async (version) => {
    const fields = confirmation(now())
    const url = fields['SubscribeURL']!
    aws.answers.set(url, '<ConfirmSubscriptionResponse/>')
    const before = (await lab.service.list({}, { limit: 1000 })).items.length
    expect(await post(signedBySns(fields, { version }))).toMatchObject({ status: 200, body: { status: 'confirmed' } })
    expect(aws.calls.filter((call) => call !== certificateUrl)).toEqual([url])
    expect((await lab.service.list({}, { limit: 1000 })).items).toHaveLength(before)
  })

  it('is not confirmed for the topic of somebody else, nor when nobody has signed it', async () => {
    const forged = JSON.stringify({ ...(JSON.parse(signedBySns(confirmation(now()))) as object), Token: 'other' })
    const foreigner = signedBySns(confirmation(now(), { TopicArn: foreign }))
    for (const body of [forged, foreigner])
      expect(await post(body)).toMatchObject({ status: 401, code: 'webhooks_in.signature_invalid' })
    expect(aws.calls.filter((call) => call !== certificateUrl)).toEqual([])
  })

  it.each([
    `https://evil.com/?Action=ConfirmSubscription&TopicArn=${topic}&Token=1`,
    `http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${topic}&Token=1`,
    `https://sns.eu-west-1.amazonaws.com.evil.com/?Action=ConfirmSubscription&TopicArn=${topic}&Token=1`,
    `https://a@sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${topic}&Token=1`,
    `https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&TopicArn=${topic}&Token=1`,
    `https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Action=Publish&TopicArn=${topic}&Token=1`,
    `https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${foreign}&Token=1`,
    'https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=1',
  ])('%s is never called, even if it is signed', async (SubscribeURL) => {
    aws.answers.set(SubscribeURL, 'yes')
    expect(await post(signedBySns(confirmation(now(), { SubscribeURL })))).toMatchObject({ status: 401 })
    expect(aws.calls).toEqual([])
  })

  it.each<[string, number | undefined]>([
    ['cannot be reached', undefined],
    ['refuses', 400],
  ])('where Amazon %s it is 503, so that SNS asks again', async (name, answer) => {
    const Token = name.replaceAll(' ', '')
    const SubscribeURL = `https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${topic}&Token=${Token}`
    if (answer !== undefined) aws.answers.set(SubscribeURL, answer)
    const body = signedBySns(confirmation(now(), { SubscribeURL, Token }))
    expect(await post(body)).toMatchObject({ status: 503, code: 'webhooks_in.unavailable' })
    aws.answers.set(SubscribeURL, 'yes')
    expect(await post(body)).toMatchObject({ status: 200, body: { status: 'confirmed' } })
  })

  it('that ended is told to the handler and never taken up again', async () => {
    const body = signedBySns(confirmation(now(), { Type: 'UnsubscribeConfirmation' }))
    expect(await post(body)).toMatchObject({ status: 202, body: { status: 'accepted' } })
    expect((await lab.service.list({ source: 'sns' })).items[0]!.event).toBe('UnsubscribeConfirmation')
    expect(aws.calls.filter((call) => call !== certificateUrl)).toEqual([])
  })
})
