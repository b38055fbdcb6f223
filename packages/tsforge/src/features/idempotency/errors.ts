import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type IdempotencyErrorCode =
  | 'idempotency.key_malformed'
  | 'idempotency.key_required'
  | 'idempotency.key_refused'
  | 'idempotency.key_guessable'
  | 'idempotency.key_reused'
  | 'idempotency.in_progress'
  | 'idempotency.answer_gone'
  | 'idempotency.lease_lost'
  | 'idempotency.unavailable'
  | 'idempotency.full'
  | 'idempotency.contended'
  | 'idempotency.redis_missing'

export const idempotencyErrors: ErrorCatalogue<IdempotencyErrorCode> = defineErrors({
  'idempotency.key_malformed': {
    status: 400,
    message: {
      en: 'The Idempotency-Key is not valid.',
      id: 'Idempotency-Key tidak valid.',
    },
    fix: 'Send one key of 1 to 255 visible ASCII characters without spaces, such as a random UUID, bare or in double quotes.',
  },
  'idempotency.key_required': {
    status: 400,
    message: {
      en: 'This request needs an Idempotency-Key.',
      id: 'Permintaan ini memerlukan Idempotency-Key.',
    },
    fix: 'Make a random UUID for each operation, and send the same one each time you try that operation again.',
  },
  'idempotency.key_refused': {
    status: 400,
    message: {
      en: 'This operation takes no Idempotency-Key.',
      id: 'Operasi ini tidak menerima Idempotency-Key.',
    },
    fix: 'Send the request without the header; the documentation of the operation says what sending it twice does.',
  },
  'idempotency.key_guessable': {
    status: 400,
    message: {
      en: 'Without signing in, the Idempotency-Key must be random.',
      id: 'Tanpa masuk, Idempotency-Key harus acak.',
    },
    fix: 'Send a random UUID: the key alone proves that the stored answer is yours.',
  },
  'idempotency.key_reused': {
    status: 409,
    message: {
      en: 'This Idempotency-Key was used for another request.',
      id: 'Idempotency-Key ini telah dipakai untuk permintaan lain.',
    },
    fix: 'Make a new key for each operation. Method, address, query, body, If-Match and the rights of the credential must be the same when you try again.',
  },
  'idempotency.in_progress': {
    status: 409,
    message: {
      en: 'A request with this Idempotency-Key is still being worked on.',
      id: 'Permintaan dengan Idempotency-Key ini masih diproses.',
    },
    fix: 'Send the same request with the same key again after the time in Retry-After.',
  },
  'idempotency.answer_gone': {
    status: 410,
    message: {
      en: 'This request was carried out before, and its answer is not kept.',
      id: 'Permintaan ini sudah dijalankan sebelumnya, dan jawabannya tidak disimpan.',
    },
    fix: 'Read the resource to see what came of it. A new key would carry the request out a second time.',
  },
  'idempotency.lease_lost': {
    status: 409,
    message: {
      en: 'This request took too long and is being carried out by another attempt.',
      id: 'Permintaan ini terlalu lama dan sedang dijalankan oleh percobaan lain.',
    },
    fix: 'Send the same request with the same key again after the time in Retry-After; nothing of this attempt was kept.',
  },
  'idempotency.unavailable': {
    status: 503,
    message: {
      en: 'Idempotency keys are not available at the moment, so the request was not carried out.',
      id: 'Kunci idempotensi sedang tidak tersedia, sehingga permintaan tidak dijalankan.',
    },
    fix: 'Send the same request with the same key again after the time in Retry-After.',
  },
  'idempotency.full': {
    status: 503,
    message: {
      en: 'No more idempotency keys can be remembered.',
      id: 'Tidak ada lagi kunci idempotensi yang dapat diingat.',
    },
    fix: 'Use the driver postgres or redis, which have no such limit.',
  },
  'idempotency.contended': {
    status: 503,
    message: {
      en: 'An idempotency key changed hands too often.',
      id: 'Sebuah kunci idempotensi terlalu sering berpindah tangan.',
    },
    fix: 'Send the same request with the same key again.',
  },
  'idempotency.redis_missing': {
    status: 500,
    message: {
      en: 'Idempotency keys are to be kept in Redis, but there is no Redis.',
      id: 'Kunci idempotensi akan disimpan di Redis, tetapi tidak ada Redis.',
    },
    fix: 'Set REDIS_URL, or FORGE_IDEMPOTENCY_DRIVER to postgres.',
  },
})
