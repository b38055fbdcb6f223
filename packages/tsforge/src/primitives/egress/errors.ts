import { defineErrors } from '../../kernel/errors.ts'
import type { ErrorCatalogue } from '../../kernel/errors.ts'

export type EgressErrorCode =
  | 'egress.url_invalid'
  | 'egress.scheme_refused'
  | 'egress.port_refused'
  | 'egress.address_refused'
  | 'egress.unresolvable'
  | 'egress.connection_failed'
  | 'egress.tls_failed'
  | 'egress.timeout'
  | 'egress.response_too_large'
  | 'egress.header_invalid'

export const egressErrors: ErrorCatalogue<EgressErrorCode> = defineErrors({
  'egress.url_invalid': {
    status: 422,
    message: { en: 'This is no URL that can be called.', id: 'URL ini tidak dapat dipanggil.' },
    fix: 'Send an absolute URL such as https://example.com/hooks, without user name, password or fragment.',
  },
  'egress.scheme_refused': {
    status: 422,
    message: { en: 'URLs of this scheme are not called.', id: 'URL dengan skema ini tidak dipanggil.' },
    fix: 'Use https. For the operator: FORGE_EGRESS_SCHEMES.',
  },
  'egress.port_refused': {
    status: 422,
    message: { en: 'This port is not called.', id: 'Port ini tidak dipanggil.' },
    fix: 'Use port 443. For the operator: FORGE_EGRESS_PORTS.',
  },
  'egress.address_refused': {
    status: 422,
    message: {
      en: 'This host does not lead to a public address.',
      id: 'Host ini tidak mengarah ke alamat publik.',
    },
    fix: 'Use a host all of whose addresses are public. For the operator: FORGE_EGRESS_ALLOWED_NETWORKS.',
  },
  'egress.unresolvable': {
    status: 422,
    message: { en: 'The name of this host cannot be resolved.', id: 'Nama host ini tidak dapat ditemukan.' },
    fix: 'Check the spelling of the host and its DNS records.',
  },
  'egress.connection_failed': {
    status: 502,
    message: { en: 'The host could not be reached.', id: 'Host tidak dapat dihubungi.' },
    fix: 'Check that the server is up and reachable from the internet.',
  },
  'egress.tls_failed': {
    status: 502,
    message: { en: 'No secure connection to the host was possible.', id: 'Koneksi aman ke host tidak dapat dibuat.' },
    fix: 'Check the certificate: name, expiry and chain.',
  },
  'egress.timeout': {
    status: 504,
    message: { en: 'The host did not answer in time.', id: 'Host tidak menjawab tepat waktu.' },
    fix: 'Answer within the time limit; do slow work after the answer.',
  },
  'egress.response_too_large': {
    status: 502,
    message: { en: 'The answer of the host is too large.', id: 'Jawaban host terlalu besar.' },
    fix: 'Answer with a shorter body.',
  },
  'egress.header_invalid': {
    status: 422,
    message: { en: 'This header cannot be sent.', id: 'Header ini tidak dapat dikirim.' },
    fix: 'Use a token as name and visible ASCII as value; Host, Connection and framing headers are not yours to set.',
  },
})
