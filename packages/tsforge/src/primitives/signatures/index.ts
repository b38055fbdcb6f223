export { signaturesErrors } from './errors.ts'
export type { SignaturesErrorCode } from './errors.ts'
export { hmac } from './hmac.ts'
export type { HmacSpec } from './hmac.ts'
export { newStandardKeyPair, newStandardSecret, publicKeyOf, sharedKey, standardKey } from './keys.ts'
export type { SecretEncoding } from './keys.ts'
export type { HmacAlgorithm, MacEncoding } from './mac.ts'
export { github, shopify, slack } from './presets.ts'
export { signStandard, standard } from './standard.ts'
export { createTimestamped, stripe } from './stripe.ts'
export { defaultToleranceMs } from './scheme.ts'
export type {
  Message,
  Refusal,
  SignatureKey,
  SignatureKeys,
  SignatureScheme,
  SignedRequest,
  Verdict,
} from './scheme.ts'
