import { randomUUID, sign } from 'node:crypto'
import { defineFeature } from '../../../http/feature.ts'
import type { Feature } from '../../../http/feature.ts'
import { egressErrors, egressPort } from '../../../primitives/egress/index.ts'
import type { Egress, EgressResponse } from '../../../primitives/egress/index.ts'
import { cert, key } from './sns-certificate.ts'

export const topic = 'arn:aws:sns:eu-west-1:123456789012:mails'
export const certificateUrl = 'https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a1b2c3d.pem'

type Answer = string | number | (() => Promise<string | number>)

/** Amazon as the app calls it: what lies where, and what was called. Everything else cannot be reached. */
export interface Amazon {
  readonly calls: string[]
  readonly answers: Map<string, Answer>
  readonly feature: Feature
}

export function amazon(): Amazon {
  const calls: string[] = []
  const answers = new Map<string, Answer>([[certificateUrl, cert]])
  const service: Pick<Egress, 'fetch'> = {
    async fetch(url): Promise<EgressResponse> {
      calls.push(url)
      const found = answers.get(url)
      const answer = typeof found === 'function' ? await found() : found
      if (answer === undefined) throw egressErrors.error('egress.unresolvable')
      const [status, text] = typeof answer === 'number' ? [answer, ''] : [200, answer]
      return { status, headers: {}, body: Buffer.from(text), clipped: false, address: undefined, durationMs: 1 }
    },
  }
  const feature = defineFeature({ name: 'amazon', provides: egressPort, setup: () => service as Egress })
  return { calls, answers, feature }
}

export type Fields = Readonly<Record<string, string | undefined>>

/** A notification of that moment, not signed yet. */
export function notification(nowMs: number, fields: Fields = {}): Fields {
  return {
    Type: 'Notification',
    MessageId: randomUUID(),
    TopicArn: topic,
    Message: '{"notificationType":"Bounce"}',
    Timestamp: new Date(nowMs).toISOString(),
    UnsubscribeURL: 'https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe',
    ...fields,
  }
}

export function confirmation(nowMs: number, fields: Fields = {}): Fields {
  const { UnsubscribeURL: _, ...rest } = notification(nowMs)
  const of = fields['TopicArn'] ?? topic
  return {
    ...rest,
    Type: 'SubscriptionConfirmation',
    Message: `You have chosen to subscribe to the topic ${of}.\nTo confirm, visit the SubscribeURL.`,
    Token: '2336412f37fb687f5d51e6e2425c464de257e1',
    SubscribeURL: `https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${of}&Token=2336412f37fb687f5d51e6e2425c464de257e1`,
    ...fields,
  }
}

/** As SNS signs and writes it. */
export function signedBySns(
  fields: Fields,
  {
    version = '2',
    url = certificateUrl,
    by = key,
  }: { readonly version?: string; readonly url?: string; readonly by?: string } = {},
): string {
  let lines = ''
  for (const name of ['Message', 'MessageId', 'Subject', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'])
    if (fields[name] !== undefined) lines += `${name}\n${fields[name]}\n`
  const Signature = sign(version === '1' ? 'sha1' : 'sha256', Buffer.from(lines), by).toString('base64')
  return JSON.stringify({ ...fields, SignatureVersion: version, Signature, SigningCertURL: url }, undefined, 2)
}
