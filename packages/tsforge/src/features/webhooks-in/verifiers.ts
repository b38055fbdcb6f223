import * as signatures from '../../primitives/signatures/index.ts'
import type { HmacSpec, SignatureScheme } from '../../primitives/signatures/index.ts'
import { at, single, textAt } from './places.ts'
import type { Place } from './places.ts'
import type { WebhookVerifier } from './verifier.ts'

/** Standard Webhooks (Svix, Clerk, Resend, Supabase, OpenAI, …): `webhook-id` is signed; the event is `type` of the body. */
export function standard(): WebhookVerifier<SignatureScheme> {
  return {
    scheme: signatures.standard,
    describe: ({ signedId, json }) => ({ id: signedId, signed: true, event: textAt(json, 'type') }),
  }
}

/** Stripe: the id of the event and its type lie in the body. */
export function stripe(): WebhookVerifier<SignatureScheme> {
  return {
    scheme: signatures.stripe,
    describe: ({ json }) => ({ id: textAt(json, 'id'), signed: true, event: textAt(json, 'type') }),
  }
}

/** GitHub: `X-GitHub-Delivery`, which is not signed, and `X-GitHub-Event` with the `action` of the body: `issues.opened`. */
export function github(): WebhookVerifier<SignatureScheme> {
  return {
    scheme: signatures.github,
    describe({ headers, json }) {
      const event = single(headers, 'x-github-event')
      const action = textAt(json, 'action')
      return {
        id: single(headers, 'x-github-delivery'),
        event: event === undefined || action === undefined ? event : `${event}.${action}`,
      }
    },
  }
}

/** Slack's Events API, commands and interactions: `event_id` and the type of the inner event; answers `url_verification`. */
export function slack(): WebhookVerifier<SignatureScheme> {
  return {
    scheme: signatures.slack,
    describe({ json }) {
      const type = textAt(json, 'type')
      if (type === 'url_verification') return { challenge: textAt(json, 'challenge') }
      return { id: textAt(json, 'event_id'), signed: true, event: textAt(json, 'event.type') ?? type }
    },
  }
}

/** Shopify: `X-Shopify-Webhook-Id`, which is not signed, and `X-Shopify-Topic`: `orders/create`. */
export function shopify(): WebhookVerifier<SignatureScheme> {
  return {
    scheme: signatures.shopify,
    describe: ({ headers }) => ({
      id: single(headers, 'x-shopify-webhook-id'),
      event: single(headers, 'x-shopify-topic'),
    }),
  }
}

export interface HmacVerifierSpec extends HmacSpec {
  /** Default: the signed id when the template has one, else none. */
  readonly id?: Place
  /** Default: `type` of the body. */
  readonly event?: Place
}

/** Any other sender that signs by HMAC. Throws `signatures.scheme_invalid` at once. */
export function hmac(spec: HmacVerifierSpec): WebhookVerifier<SignatureScheme> {
  const { id, event = { field: 'type' } } = spec
  return {
    scheme: signatures.hmac(spec),
    describe(request) {
      const given = id === undefined ? request.signedId : at(request, id)
      const signed = id === undefined ? request.signedId !== undefined : 'field' in id
      return { id: given, signed, event: at(request, event) }
    },
  }
}
