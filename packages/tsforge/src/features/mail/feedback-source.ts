import { defineWebhookSource } from '../webhooks-in/index.ts'
import type { WebhookSource } from '../webhooks-in/index.ts'
import { postmarkFeedback, resendFeedback, sesFeedback } from './feedback.ts'
import type { MailFeedback } from './feedback.ts'
import type { Mail } from './mail.ts'

/** A provider that tells of dead addresses and complaints. */
export interface FeedbackInput extends Pick<WebhookSource, 'verifier' | 'secrets'> {
  /** In the address, `/api/v1/hooks/<name>`. */
  readonly name: string
  /** What its bodies look like, or a function that reads them. `ses` goes with `sns()`, `postmark` with `basicAuth()`, `resend` with `standard()`. */
  readonly provider: 'ses' | 'postmark' | 'resend' | ((body: unknown) => readonly MailFeedback[])
}

const readers = { ses: sesFeedback, postmark: postmarkFeedback, resend: resendFeedback } as const

export function feedbackSource({ name, provider, verifier, secrets }: FeedbackInput, mail: Mail): WebhookSource {
  const read = typeof provider === 'function' ? provider : readers[provider]
  return defineWebhookSource({
    name,
    verifier,
    secrets,
    handler: (delivery, { once }) => {
      const feedback = read(delivery.json())
      return once((tx) => mail.report(feedback, tx))
    },
  })
}
