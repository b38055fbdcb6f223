import { equalTexts } from './equal.ts'
import { signaturesErrors } from './errors.ts'
import { readHeader } from './headers.ts'
import { checkId, isId } from './ids.ts'
import { sharedKey } from './keys.ts'
import type { SecretEncoding } from './keys.ts'
import { mac, signingPart } from './mac.ts'
import type { HmacAlgorithm, MacEncoding } from './mac.ts'
import { listOf, malformed, maxSignatures, mismatch, missing } from './scheme.ts'
import type { SignatureKey, SignatureKeys, SignatureScheme, SignedRequest, Verdict } from './scheme.ts'
import { parseTemplate } from './template.ts'
import { readTimestamp, timestampText } from './timestamp.ts'

export interface HmacSpec {
  /** For logs and metrics. Default `hmac`. */
  readonly name?: string
  /** That carries the signature, e.g. `X-Signature`. */
  readonly header: string
  /** Default `sha256`. */
  readonly algorithm?: HmacAlgorithm
  /** Of the signature. Default `hex`, in lower case. */
  readonly encoding?: MacEncoding
  /** Before each signature, e.g. `sha256=`. Default none. */
  readonly prefix?: string
  /** Between several signatures of the header. Default: one signature only. */
  readonly separator?: string
  /** What is signed, of `{body}`, `{timestamp}` and `{id}`, e.g. `v0:{timestamp}:{body}`. Default `{body}`. */
  readonly template?: string
  /** With seconds since 1970; needed when the template has it. */
  readonly timestampHeader?: string
  /** With the id of the delivery; needed when the template has it. */
  readonly idHeader?: string
  /** How the secret is written. Default `utf8`: its text is the key. */
  readonly secretEncoding?: SecretEncoding
}

/** HMAC as most senders do it. Throws `signatures.scheme_invalid` at once. */
export function hmac(spec: HmacSpec): SignatureScheme {
  const { name = 'hmac', prefix = '', separator, secretEncoding } = spec
  const form: Form = {
    header: headerName(spec.header),
    algorithm: spec.algorithm ?? 'sha256',
    encoding: spec.encoding ?? 'hex',
    prefix,
    separator,
    template: parseTemplate(spec.template ?? '{body}'),
    timestampHeader: spec.timestampHeader && headerName(spec.timestampHeader),
    idHeader: spec.idHeader && headerName(spec.idHeader),
  }
  const { uses } = form.template
  if (uses.has('timestamp') !== (form.timestampHeader !== undefined))
    throw broken('{timestamp} and timestampHeader go together')
  if (uses.has('id') !== (form.idHeader !== undefined)) throw broken('{id} and idHeader go together')
  if (separator === '') throw broken('the separator is empty')
  return {
    name,
    signatureHeaders: [form.header],
    key: (secret) => sharedKey(secret, secretEncoding),
    sign(keys, message) {
      const id = uses.has('id') ? checkId(message.id) : ''
      const timestamp = uses.has('timestamp') ? timestampText(message.timestamp) : ''
      if (!form.template.separates(id)) checkId(undefined)
      const [head, tail] = [form.template.head(id, timestamp), form.template.tail(id, timestamp)]
      const all = listOf(keys)
      const signatures = (separator === undefined ? all.slice(0, 1) : all).map((key) => {
        signingPart(key)
        return signature(form, key, head, message.body, tail)
      })
      return {
        [form.header]: signatures.join(separator),
        ...(form.timestampHeader !== undefined && { [form.timestampHeader]: timestamp }),
        ...(form.idHeader !== undefined && { [form.idHeader]: id }),
      }
    },
    verify: (keys, request) => verifyHmac(form, keys, request),
  }
}

interface Form {
  readonly header: string
  readonly algorithm: HmacAlgorithm
  readonly encoding: MacEncoding
  readonly prefix: string
  readonly separator: string | undefined
  readonly template: ReturnType<typeof parseTemplate>
  readonly timestampHeader: string | undefined
  readonly idHeader: string | undefined
}

const broken = (reason: string): Error => signaturesErrors.error('signatures.scheme_invalid', { meta: { reason } })

function headerName(name: string): string {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw broken('a header has no valid name')
  return name.toLowerCase()
}

function signature(
  { prefix, algorithm, encoding }: Form,
  key: SignatureKey,
  head: string,
  body: string | Uint8Array,
  tail: string,
): string {
  return prefix + mac(key.verifying, algorithm, encoding, head, body, tail)
}

function verifyHmac(form: Form, keys: SignatureKeys, request: SignedRequest): Verdict {
  const { separator, template } = form
  const value = readHeader(request, form.header)
  const stamp = form.timestampHeader === undefined ? '' : readHeader(request, form.timestampHeader)
  const id = form.idHeader === undefined ? '' : readHeader(request, form.idHeader)
  if (value === undefined || stamp === undefined || id === undefined) return missing
  if (value === null || stamp === null || id === null) return malformed
  if (form.idHeader !== undefined && !(isId(id) && template.separates(id))) return malformed
  const timestamp = form.timestampHeader === undefined ? undefined : readTimestamp(stamp, request)
  if (typeof timestamp === 'object') return timestamp
  const given = separator === undefined ? [value] : value.split(separator, maxSignatures + 1)
  if (given.length > maxSignatures) return malformed
  const [head, tail] = [template.head(id, stamp), template.tail(id, stamp)]
  const list = listOf(keys)
  for (let key = 0; key < list.length; key++) {
    const expected = signature(form, list[key]!, head, request.body, tail)
    for (const each of given)
      if (equalTexts(expected, each)) return { ok: true, id: id === '' ? undefined : id, timestamp, key }
  }
  return mismatch
}
