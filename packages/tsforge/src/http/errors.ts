import { defineErrors } from '../kernel/errors.ts'
import type { ErrorCatalogue, ErrorSpec } from '../kernel/errors.ts'

/** Codes that the pipeline itself answers. */
export type HttpErrorCode =
  | 'internal'
  | 'http.request_malformed'
  | 'http.target_malformed'
  | 'http.body_malformed'
  | 'http.not_found'
  | 'http.method_not_allowed'
  | 'http.not_acceptable'
  | 'http.receive_timeout'
  | 'http.body_too_large'
  | 'http.target_too_long'
  | 'http.media_type_unsupported'
  | 'http.encoding_unsupported'
  | 'http.expectation_failed'
  | 'http.validation_failed'
  | 'http.headers_too_large'
  | 'http.overloaded'
  | 'http.timeout'
  | 'access.unauthenticated'
  | 'access.denied'
  | 'tenant.invalid'

const specs: Readonly<Record<HttpErrorCode, ErrorSpec>> = {
  internal: {
    status: 500,
    message: { en: 'Something went wrong on our side.', id: 'Terjadi kesalahan di pihak kami.' },
    fix: 'Try again later; when it stays, report the request_id.',
  },
  'http.request_malformed': {
    status: 400,
    message: { en: 'The request is not valid HTTP.', id: 'Permintaan bukan HTTP yang valid.' },
    fix: 'Send well-formed HTTP/1.1 with exactly one Host header and one way of framing the body.',
  },
  'http.target_malformed': {
    status: 400,
    message: {
      en: 'The path or query of the request is malformed.',
      id: 'Path atau query permintaan tidak berbentuk benar.',
    },
    fix: 'Send an absolute path, percent-encoded as UTF-8.',
  },
  'http.body_malformed': {
    status: 400,
    message: {
      en: 'The body is not acceptable JSON ({reason}).',
      id: 'Isi permintaan bukan JSON yang dapat diterima ({reason}).',
    },
    fix: 'Send one JSON document in UTF-8 without a byte order mark, duplicate names or excessive nesting.',
  },
  'http.not_found': {
    status: 404,
    message: { en: 'There is nothing at this address.', id: 'Tidak ada apa pun di alamat ini.' },
    fix: 'Compare the path with /openapi.json; upper case and trailing slashes matter.',
  },
  'http.method_not_allowed': {
    status: 405,
    message: { en: 'This address does not answer {method}.', id: 'Alamat ini tidak melayani {method}.' },
    fix: 'Use one of the methods in the Allow header.',
  },
  'http.not_acceptable': {
    status: 406,
    message: {
      en: 'None of the accepted media types can be produced.',
      id: 'Tidak ada tipe media yang diterima dapat dihasilkan.',
    },
    fix: 'Send `Accept: application/json` or none at all.',
  },
  'http.receive_timeout': {
    status: 408,
    message: { en: 'The request took too long to arrive.', id: 'Permintaan terlalu lama tiba.' },
    fix: 'Send the whole request without pauses.',
  },
  'http.body_too_large': {
    status: 413,
    message: { en: 'The body is larger than {limit} bytes.', id: 'Isi permintaan lebih besar dari {limit} byte.' },
    fix: 'Send less, or in parts.',
  },
  'http.target_too_long': {
    status: 414,
    message: { en: 'A part of the path is too long.', id: 'Sebagian path terlalu panjang.' },
    fix: 'Shorten the path.',
  },
  'http.media_type_unsupported': {
    status: 415,
    message: {
      en: 'The body must be application/json in UTF-8.',
      id: 'Isi permintaan harus application/json dalam UTF-8.',
    },
    fix: 'Send `Content-Type: application/json`.',
  },
  'http.encoding_unsupported': {
    status: 415,
    message: { en: 'Compressed bodies are not accepted.', id: 'Isi permintaan terkompresi tidak diterima.' },
    fix: 'Send the body without Content-Encoding.',
  },
  'http.expectation_failed': {
    status: 417,
    message: {
      en: 'The Expect header asks for something unknown.',
      id: 'Header Expect meminta sesuatu yang tidak dikenal.',
    },
    fix: 'Send `Expect: 100-continue` or no Expect header.',
  },
  'http.validation_failed': {
    status: 422,
    message: {
      en: 'The request does not match what this route takes.',
      id: 'Permintaan tidak sesuai dengan yang diterima rute ini.',
    },
    fix: 'Correct each entry of meta.fields.',
  },
  'http.headers_too_large': {
    status: 431,
    message: { en: 'The request headers are too large.', id: 'Header permintaan terlalu besar.' },
    fix: 'Send fewer or shorter headers and cookies.',
  },
  'http.overloaded': {
    status: 503,
    message: {
      en: 'The service is busy. Please try again soon.',
      id: 'Layanan sedang sibuk. Silakan coba lagi sebentar lagi.',
    },
    fix: 'Wait for Retry-After, then try again with growing pauses.',
  },
  'http.timeout': {
    status: 503,
    message: {
      en: 'The request could not be finished in time.',
      id: 'Permintaan tidak dapat diselesaikan tepat waktu.',
    },
    fix: 'Try again; make writes repeatable with an Idempotency-Key.',
  },
  'access.unauthenticated': {
    status: 401,
    message: { en: 'Please sign in.', id: 'Silakan masuk.' },
    fix: 'Send valid credentials in the Authorization header.',
  },
  'access.denied': {
    status: 403,
    message: { en: 'You are not allowed to do this.', id: 'Anda tidak diizinkan melakukan ini.' },
    fix: 'Ask an owner of the tenant for the permission in meta.permission.',
  },
  'tenant.invalid': {
    status: 400,
    message: { en: 'X-Tenant-ID is not a valid id.', id: 'X-Tenant-ID bukan id yang valid.' },
    fix: 'Send one UUID as X-Tenant-ID.',
  },
}

/** The pipeline's own errors: transport, access and tenant. */
export const httpErrors: ErrorCatalogue<HttpErrorCode> = defineErrors<HttpErrorCode>(specs)
