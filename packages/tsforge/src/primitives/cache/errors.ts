import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type CacheErrorCode =
  | 'cache.corrupt'
  | 'cache.key_invalid'
  | 'cache.load_timeout'
  | 'cache.not_a_counter'
  | 'cache.not_serializable'
  | 'cache.option_invalid'
  | 'cache.value_too_large'

export const cacheErrors: ErrorCatalogue<CacheErrorCode> = defineErrors({
  'cache.corrupt': {
    status: 500,
    message: { en: 'A cached value is damaged.', id: 'Nilai di cache rusak.' },
    fix: 'It counts as absent and is loaded again. Look who else writes to the store when this goes on.',
  },
  'cache.key_invalid': {
    status: 500,
    message: { en: 'A cache key or tag is not valid.', id: 'Kunci atau tag cache tidak valid.' },
    fix: 'Use a text of 1 to 512 bytes without control characters; hash what may be longer.',
  },
  'cache.load_timeout': {
    status: 504,
    message: { en: 'The answer took too long to prepare.', id: 'Jawaban terlalu lama disiapkan.' },
    fix: 'Try again shortly. As the operator: the source of the value is slow, or the hard timeout is too short.',
  },
  'cache.not_a_counter': {
    status: 500,
    message: { en: 'The cached value cannot be counted up.', id: 'Nilai di cache tidak dapat dihitung naik.' },
    fix: 'Count with a key of its own, in steps and sums that are safe integers.',
  },
  'cache.not_serializable': {
    status: 500,
    message: { en: 'The value cannot be cached.', id: 'Nilai tidak dapat disimpan di cache.' },
    fix: 'Cache plain data: no functions, symbols, class instances or cycles.',
  },
  'cache.option_invalid': {
    status: 500,
    message: { en: 'An option of the cache is not valid.', id: 'Opsi cache tidak valid.' },
    fix: 'See "meta.option": durations are zero or more, shares lie between 0 and 1.',
  },
  'cache.value_too_large': {
    status: 500,
    message: { en: 'The value is too large to be cached.', id: 'Nilai terlalu besar untuk disimpan di cache.' },
    fix: 'Cache a part of it, or raise FORGE_CACHE_MAX_VALUE_BYTES.',
  },
})
