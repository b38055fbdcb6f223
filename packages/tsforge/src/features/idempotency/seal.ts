import type { Secrets } from '../../kernel/secrets.ts'

/** What is stored under an id can be read by this app alone, and under that id alone. */
export interface Seal {
  request(id: string, fingerprint: string): string
  answer(id: string, packed: string): string
  /** Both throw `secrets.unreadable` when it was altered, moved, or its secret is gone. */
  openRequest(id: string, sealed: string): string
  openAnswer(id: string, sealed: string): string
}

const requestPurpose = 'idempotency request'
const answerPurpose = 'idempotency answer'

/** AES-256-GCM under keys derived from the app's secret, with the id (a hash of scope and key) authenticated along. */
export function createSeal(secrets: Secrets): Seal {
  return {
    // A bare hash of a short body (a PIN, a password) could be tried out by whoever reads the table.
    request: (id, fingerprint) => secrets.seal(requestPurpose, fingerprint, id),
    answer: (id, packed) => secrets.seal(answerPurpose, packed, id),
    openRequest: (id, sealed) => secrets.open(requestPurpose, sealed, id).toString('utf8'),
    openAnswer: (id, sealed) => secrets.open(answerPurpose, sealed, id).toString('utf8'),
  }
}
