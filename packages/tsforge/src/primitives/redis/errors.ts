import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type RedisErrorCode =
  | 'redis.unavailable'
  | 'redis.timeout'
  | 'redis.read_only'
  | 'redis.out_of_memory'
  | 'redis.command'
  | 'redis.tracking_unsupported'
  | 'redis.driver_missing'

export const redisErrors: ErrorCatalogue<RedisErrorCode> = defineErrors({
  'redis.unavailable': {
    status: 503,
    message: { en: 'Redis is not available at the moment.', id: 'Redis sedang tidak tersedia.' },
    fix: 'Try again shortly; the connection comes back by itself. For the operator: see REDIS_URL and forge doctor.',
  },
  'redis.timeout': {
    status: 503,
    message: { en: 'Redis took too long to answer.', id: 'Redis terlalu lama menjawab.' },
    fix: 'Try again shortly. A write may or may not have taken effect. For the operator: see FORGE_REDIS_DEADLINE.',
  },
  'redis.read_only': {
    status: 503,
    message: { en: 'Redis refuses to write at the moment.', id: 'Redis sedang menolak penulisan.' },
    fix: 'Point REDIS_URL at the primary. When it is the primary: see why it cannot save (INFO persistence).',
  },
  'redis.out_of_memory': {
    status: 503,
    message: { en: 'Redis has no memory left.', id: 'Memori Redis sudah penuh.' },
    fix: 'Raise maxmemory. Where only the cache lives in it, set maxmemory-policy to allkeys-lfu.',
  },
  'redis.command': {
    status: 500,
    message: { en: 'Redis refused a command.', id: 'Redis menolak sebuah perintah.' },
    fix: 'See the cause in the log; a NOPERM or NOAUTH there speaks of the user in REDIS_URL.',
  },
  'redis.tracking_unsupported': {
    status: 500,
    message: {
      en: 'Client-side tracking does not work over this connection.',
      id: 'Pelacakan sisi klien tidak didukung oleh koneksi ini.',
    },
    fix: 'In a cluster, tell other processes by publishing messages instead.',
  },
  'redis.driver_missing': {
    status: 500,
    message: { en: 'The package "redis" is not installed.', id: 'Paket "redis" belum dipasang.' },
    fix: 'npm install redis@6',
  },
})
