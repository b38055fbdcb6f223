/** What a provider tells of a mail that it had taken. */
export interface MailFeedback {
  readonly kind: 'bounce' | 'complaint'
  /** The address is dead; otherwise another mail may arrive. Complaints are final. */
  readonly permanent: boolean
  readonly address: string
  /** Of the provider or the mail, where it is told. */
  readonly messageId: string | undefined
  readonly detail: string | undefined
}

type Json = Readonly<Record<string, unknown>>

/** Reads what Amazon SES says through SNS (the envelope, or the raw message where raw delivery is on). */
export function sesFeedback(body: unknown): readonly MailFeedback[] {
  const envelope = record(body)
  const message = typeof envelope['Message'] === 'string' ? record(parsed(envelope['Message'])) : envelope
  const kind = message['notificationType'] ?? message['eventType']
  const messageId = text(record(message['mail'])['messageId'])
  if (kind === 'Bounce') {
    const bounce = record(message['bounce'])
    const permanent = bounce['bounceType'] === 'Permanent'
    return list(bounce['bouncedRecipients']).flatMap((each) =>
      feedback(
        'bounce',
        permanent,
        each['emailAddress'],
        messageId,
        text(each['diagnosticCode']) ?? text(bounce['bounceSubType']),
      ),
    )
  }
  if (kind !== 'Complaint') return []
  const complaint = record(message['complaint'])
  // Not a complaint: the provider's own list, or somebody who took one back.
  if (complaint['complaintFeedbackType'] === 'not-spam') return []
  return list(complaint['complainedRecipients']).flatMap((each) =>
    feedback('complaint', true, each['emailAddress'], messageId, text(complaint['complaintFeedbackType'])),
  )
}

/** Types of Postmark's bounces after which an address is dead. */
const deadAtPostmark = new Set(['HardBounce', 'BadEmailAddress', 'ManuallyDeactivated'])

/** Reads a webhook of Postmark (bounce, spam complaint). */
export function postmarkFeedback(body: unknown): readonly MailFeedback[] {
  const event = record(body)
  const messageId = text(event['MessageID'])
  const detail = text(event['Description']) ?? text(event['Details'])
  if (event['RecordType'] === 'SpamComplaint') return feedback('complaint', true, event['Email'], messageId, detail)
  if (event['RecordType'] !== 'Bounce') return []
  if (event['Type'] === 'SpamComplaint') return feedback('complaint', true, event['Email'], messageId, detail)
  const permanent = deadAtPostmark.has(String(event['Type']))
  return feedback('bounce', permanent, event['Email'], messageId, detail)
}

/** Reads a webhook of Resend (`email.bounced`, `email.complained`). */
export function resendFeedback(body: unknown): readonly MailFeedback[] {
  const event = record(body)
  const data = record(event['data'])
  const messageId = text(data['email_id'])
  const to = Array.isArray(data['to']) ? (data['to'] as unknown[]) : [data['to']]
  if (event['type'] === 'email.complained')
    return to.flatMap((address) => feedback('complaint', true, address, messageId, undefined))
  if (event['type'] !== 'email.bounced') return []
  const bounce = record(data['bounce'])
  const permanent = bounce['type'] === 'Permanent'
  return to.flatMap((address) => feedback('bounce', permanent, address, messageId, text(bounce['message'])))
}

function feedback(
  kind: MailFeedback['kind'],
  permanent: boolean,
  address: unknown,
  messageId: string | undefined,
  detail: string | undefined,
): MailFeedback[] {
  const plain = /<([^<>]+)>\s*$/.exec(String(address))?.[1] ?? address
  if (typeof plain !== 'string' || !plain.includes('@') || plain.length > 320) return []
  return [{ kind, permanent, address: plain.trim(), messageId, detail: detail?.slice(0, 500) }]
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function list(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(record) : []
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function parsed(value: string): unknown {
  try {
    return JSON.parse(value) as unknown
  } catch {
    return undefined
  }
}
