import type { Secrets } from '../../../kernel/secrets.ts'
import {
  createTimestamped,
  newStandardKeyPair,
  newStandardSecret,
  publicKeyOf,
  signaturesErrors,
  standard,
} from '../../../primitives/signatures/index.ts'
import type { Message, SignatureScheme } from '../../../primitives/signatures/index.ts'
import { webhooksErrors } from '../errors.ts'
import type { EndpointSecret, SignatureForm } from './endpoint.ts'

/** As it is stored. */
export interface SealedSecret {
  readonly sealed: string
  /** Milliseconds since the epoch; `null` for the current one. */
  readonly until: number | null
}

/** So many sign at once; receivers look at 16. */
const most = 5
const timestamped: SignatureScheme = createTimestamped('timestamped', 'webhook-signature')
const secretPurpose = 'webhooks secret'
const headersPurpose = 'webhooks headers'

function schemeOf(form: SignatureForm): SignatureScheme {
  return form === 'timestamped' ? timestamped : standard
}

/** Secrets and headers of endpoints: sealed under the app's secret, for one endpoint alone. */
export interface Vault {
  /** A new current secret, given or made; earlier ones end after `overlapMs` at most. Throws `webhooks.secret_invalid`, `webhooks.too_many_secrets`. */
  renew(
    endpoint: { readonly id: string; readonly signature: SignatureForm },
    earlier: readonly SealedSecret[],
    rotation: { readonly secret?: string | undefined; readonly overlapMs: number; readonly now: number },
  ): { readonly shown: EndpointSecret; readonly secrets: readonly SealedSecret[] }
  /** Those that are valid, newest first. */
  show(
    endpoint: { readonly id: string; readonly signature: SignatureForm },
    secrets: readonly SealedSecret[],
    now: number,
  ): readonly EndpointSecret[]
  /** Signature headers by all valid secrets, newest first; and the plain secrets, to be kept out of logs. */
  sign(
    endpoint: { readonly id: string; readonly signature: SignatureForm },
    secrets: readonly SealedSecret[],
    message: Message & { readonly id: string },
  ): { readonly headers: Readonly<Record<string, string>>; readonly plain: readonly string[] }
  sealHeaders(endpointId: string, headers: Readonly<Record<string, string>>): string
  openHeaders(endpointId: string, sealed: string | null): Readonly<Record<string, string>>
}

export function createVault(secrets: Secrets): Vault {
  const open = (id: string, { sealed }: SealedSecret): string =>
    secrets.open(secretPurpose, sealed, id).toString('utf8')
  const shown = (form: SignatureForm, plain: string, until: number | null): EndpointSecret => ({
    ...(form === 'standard_ed25519'
      ? { secret: null, publicKey: publicKeyOf(plain) }
      : { secret: plain, publicKey: null }),
    until: until === null ? null : new Date(until),
  })
  return {
    renew({ id, signature }, earlier, { secret, overlapMs, now }) {
      const plain = secret ?? made(signature)
      check(signature, plain)
      const overlapping = overlapMs === 0 ? [] : valid(earlier, now)
      if (overlapping.length >= most) throw webhooksErrors.error('webhooks.too_many_secrets', { meta: { limit: most } })
      const ending = overlapping.map(({ sealed, until }) => ({
        sealed,
        until: Math.min(until ?? Number.POSITIVE_INFINITY, now + overlapMs),
      }))
      const sealed = secrets.seal(secretPurpose, plain, id)
      return { shown: shown(signature, plain, null), secrets: [{ sealed, until: null }, ...ending] }
    },
    show: ({ id, signature }, stored, now) =>
      valid(stored, now).map((each) => shown(signature, open(id, each), each.until)),
    sign({ id, signature }, stored, message) {
      const scheme = schemeOf(signature)
      const plain = valid(stored, message.timestamp * 1000).map((each) => open(id, each))
      const headers = scheme.sign(
        plain.map((each) => scheme.key(each)),
        message,
      )
      return { headers: { 'webhook-id': message.id, ...headers }, plain }
    },
    sealHeaders: (id, headers) => secrets.seal(headersPurpose, JSON.stringify(headers), id),
    openHeaders: (id, sealed) =>
      sealed === null
        ? {}
        : (JSON.parse(secrets.open(headersPurpose, sealed, id).toString('utf8')) as Record<string, string>),
  }
}

function valid(secrets: readonly SealedSecret[], now: number): readonly SealedSecret[] {
  return secrets.filter(({ until }) => until === null || until > now)
}

function made(form: SignatureForm): string {
  return form === 'standard_ed25519' ? newStandardKeyPair().privateKey : newStandardSecret()
}

function check(form: SignatureForm, plain: string): void {
  const prefix = form === 'standard_ed25519' ? 'whsk_' : 'whsec_'
  if (!plain.startsWith(prefix))
    throw webhooksErrors.error('webhooks.secret_invalid', { meta: { reason: `it must begin with ${prefix}` } })
  try {
    // Also for the timestamped form, whose key is the whole text: who has one secret can change the form.
    standard.key(plain)
  } catch (error) {
    if (!signaturesErrors.is(error, 'signatures.secret_invalid')) throw error
    throw webhooksErrors.error('webhooks.secret_invalid', { meta: { reason: error.meta?.['reason'] } })
  }
}
