export { createRatelimit } from './create-ratelimit.ts'
export type * from './driver.ts'
export * from './errors.ts'
export * from './events.ts'
export { ratePolicy, rateState } from './headers.ts'
export type { CountedCall, KeyKind, KeyOf } from './keys.ts'
export { ratelimitOptions } from './options.ts'
export type { RatelimitOptions } from './options.ts'
export { ratelimit } from './plugin.ts'
export type { RatelimitFeature } from './plugin.ts'
export * from './policies.ts'
export { ratelimitPort } from './ratelimit.ts'
export type {
  ConcurrencyLimit,
  ConcurrencySpec,
  Limit,
  LimitSpec,
  LossPolicy,
  Ratelimit,
  RatelimitSettings,
  Slot,
  TakeOptions,
} from './ratelimit.ts'
