import { parseJson } from './json.ts'

/**
 * Messages of Amazon SNS as they are posted, and what of them is signed.
 * https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
 */
export interface SnsMessage {
  readonly type: 'Notification' | 'SubscriptionConfirmation' | 'UnsubscribeConfirmation'
  readonly id: string
  readonly topic: string
  readonly sentMs: number
  readonly digest: 'sha1' | 'sha256'
  readonly signature: Buffer
  readonly certificateUrl: string
  /** Of confirmations. */
  readonly subscribeUrl: string | undefined
  readonly signed: string
}

/** HTTP endpoints have standard topics alone. */
export const topicForm: RegExp = /^arn:aws(?:-[a-z]+){0,2}:sns:[a-z0-9-]{1,32}:\d{12}:[\w-]{1,256}$/

/**
 * One spelling, that of AWS: looked at before anything parses it, so that no two parsers can differ. One segment, no query: the
 * same hosts are the API, whose answers others can have a part in.
 */
const host = String.raw`^https://sns\.[a-z]{2}(?:-[a-z]{2,12}){1,3}-\d{1,2}\.amazonaws\.com(?:\.cn)?/`
const certificateForm = new RegExp(String.raw`${host}[\w-]{1,128}\.pem$`)
const subscribeForm = new RegExp(String.raw`${host}\?[\w.~:=&%-]{1,1500}$`)

const form: Readonly<Record<string, RegExp>> = {
  MessageId: /^[\w-]{1,100}$/,
  Timestamp: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/,
  TopicArn: topicForm,
  // Without control characters: what is signed holds names and values in lines of their own.
  Subject: /^\P{Cc}{0,1000}$/u,
  Token: /^[\w.~:=+/-]{1,1024}$/,
  SubscribeURL: subscribeForm,
  SigningCertURL: certificateForm,
  Signature: /^[A-Za-z0-9+/]{100,1400}={0,2}$/,
  SignatureVersion: /^[12]$/,
}
/** In the order of the alphabet, as they are signed. */
const notified = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'] as const
const confirming = ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'] as const
const signedOf: Readonly<Record<SnsMessage['type'], readonly string[]>> = {
  Notification: notified,
  SubscriptionConfirmation: confirming,
  UnsubscribeConfirmation: confirming,
}
const besides = ['Signature', 'SignatureVersion', 'SigningCertURL'] as const

/** `missing`: it has no signature. `malformed`: in a form that SNS gives nothing. */
export function readSnsMessage(body: string | Uint8Array): SnsMessage | 'missing' | 'malformed' {
  const json = parseJson(body)
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return 'missing'
  const fields = json as Readonly<Record<string, unknown>>
  if (fields['Signature'] === undefined) return 'missing'
  const type = fields['Type'] as SnsMessage['type']
  if (typeof type !== 'string' || !Object.hasOwn(signedOf, type)) return 'malformed'
  const names = signedOf[type].filter((name) => name !== 'Subject' || (fields[name] ?? null) !== null)
  const values: Record<string, string> = {}
  for (const name of [...names, ...besides]) {
    const value = fields[name]
    if (typeof value !== 'string' || form[name]?.test(value) === false) return 'malformed'
    values[name] = value
  }
  const sentMs = Date.parse(values['Timestamp']!)
  const { TopicArn: topic, SubscribeURL: subscribeUrl } = values
  if (Number.isNaN(sentMs)) return 'malformed'
  if (subscribeUrl !== undefined && !confirms(subscribeUrl, topic!)) return 'malformed'
  return {
    type,
    id: values['MessageId']!,
    topic: topic!,
    sentMs,
    digest: values['SignatureVersion'] === '2' ? 'sha256' : 'sha1',
    signature: Buffer.from(values['Signature']!, 'base64'),
    certificateUrl: values['SigningCertURL']!,
    subscribeUrl,
    signed: names.map((name) => `${name}\n${values[name]}\n`).join(''),
  }
}

/** Whether calling it subscribes this topic, and does nothing else. */
function confirms(url: string, topic: string): boolean {
  const { searchParams } = new URL(url)
  const asks = (name: string, value: string): boolean => {
    const all = searchParams.getAll(name)
    return all.length === 1 && all[0] === value
  }
  return asks('Action', 'ConfirmSubscription') && asks('TopicArn', topic)
}
