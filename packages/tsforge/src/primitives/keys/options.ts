import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'
import { algorithms } from './algorithms.ts'
import type { Algorithm } from './keys.ts'

export interface KeysOptions {
  readonly issuer: string
  readonly audience: string
  readonly algorithm: Algorithm
  readonly rotateEveryMs: number
  readonly maxTtlMs: number
  readonly leewayMs: number
  readonly refreshMs: number
  readonly cacheEntries: number
  readonly cacheBytes: number
}

const defaultIssuer = 'tsforge'

export const keysOptions: OptionsSchema<KeysOptions> = {
  issuer: field.string('FORGE_KEYS_ISSUER', {
    doc: 'The `iss` of every token: the public URL of the service.',
    default: defaultIssuer,
    example: 'https://api.example.com',
    check: (value) => (value === '' ? 'must not be empty' : undefined),
    production: (value) =>
      value === defaultIssuer ? 'must name this service, so that no other installation accepts its tokens' : undefined,
  }),
  audience: field.string('FORGE_KEYS_AUDIENCE', {
    doc: 'The `aud` of access tokens: who is meant to accept them.',
    default: 'tsforge',
    check: (value) => (value === '' ? 'must not be empty' : undefined),
  }),
  algorithm: field.oneOf('FORGE_KEYS_ALGORITHM', {
    doc: 'Algorithm of new keys. HS256 is symmetric: nobody else can verify its tokens.',
    default: 'EdDSA',
    values: algorithms,
  }),
  rotateEveryMs: field.duration('FORGE_KEYS_ROTATE_EVERY', {
    doc: 'How long a key signs before the next one takes over.',
    default: '30d',
    min: '1h',
  }),
  maxTtlMs: field.duration('FORGE_KEYS_MAX_TTL', {
    doc: 'Longest life of any token. A retired key verifies for this long.',
    default: '1h',
    min: '1m',
    max: '30d',
  }),
  leewayMs: field.duration('FORGE_KEYS_LEEWAY', {
    doc: 'How far the clocks of two machines may differ.',
    default: '5s',
    max: '60s',
  }),
  refreshMs: field.duration('FORGE_KEYS_REFRESH', {
    doc: 'How often keys are read again where no notification came.',
    default: '30s',
    min: '1s',
    max: '30s',
  }),
  cacheEntries: field.integer('FORGE_KEYS_CACHE_ENTRIES', {
    doc: 'Verified tokens kept in memory.',
    default: 10_000,
    min: 0,
  }),
  cacheBytes: field.bytes('FORGE_KEYS_CACHE_BYTES', {
    doc: 'Memory that verified tokens may take.',
    default: '16mb',
  }),
}
