/** The suites that every driver passes. Run them over a driver of your own, inside of a vitest file. */
export { dbContract } from '../primitives/db/contract.ts'
export type { DbContract } from '../primitives/db/contract.ts'
export { cacheContract } from '../primitives/cache/contract.ts'
export type { CacheContract } from '../primitives/cache/contract.ts'
export { idempotencyContract } from '../features/idempotency/contract.ts'
export type { IdempotencyBench, IdempotencyContract } from '../features/idempotency/contract.ts'
export { ratelimitContract } from '../primitives/ratelimit/contract.ts'
export type { RatelimitContract, RatelimitContractStore } from '../primitives/ratelimit/contract.ts'
