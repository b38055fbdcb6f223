export { keyCreated, keyRotated } from './events.ts'
export type { KeyCreated, KeyRotated } from './events.ts'
export { keysErrors } from './errors.ts'
export type { KeysErrorCode } from './errors.ts'
export { keysPort } from './keys.ts'
export type {
  Algorithm,
  Expected,
  Json,
  Jwks,
  Keys,
  KeyState,
  PublicJwk,
  RotateOptions,
  Rotation,
  SigningKey,
  SignOptions,
  TokenClaims,
  TokenType,
  Verified,
  VerifiedClaims,
} from './keys.ts'
export { keys } from './plugin.ts'
