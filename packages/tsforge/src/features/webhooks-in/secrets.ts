import { randomBytes } from 'node:crypto'
import type { Log } from '../../kernel/log.ts'
import { sharedKey } from '../../primitives/signatures/index.ts'
import type { SignatureKey } from '../../primitives/signatures/index.ts'
import { webhooksInErrors } from './errors.ts'
import type { Secrets, SecretsCall, WebhookSource } from './source.ts'

const most = 16

/** Verified against when there is no key: an address without secrets does the same work, and answers the same. */
export const decoy: readonly SignatureKey[] = [sharedKey(randomBytes(32).toString('hex'))]

/** The keys that are valid now. Rejects with `webhooks_in.unavailable` when they cannot be looked up. */
export async function keysFor(source: WebhookSource, call: SecretsCall, log: Log): Promise<readonly SignatureKey[]> {
  const { name, secrets } = source
  let found: Secrets
  try {
    found = typeof secrets === 'function' ? await secrets(call) : secrets
  } catch (cause) {
    throw webhooksInErrors.error('webhooks_in.unavailable', { cause, retryAfterMs: 5000 })
  }
  const keys: SignatureKey[] = []
  for (const secret of found.slice(0, most)) {
    try {
      keys.push(source.verifier.scheme.key(secret))
    } catch (err) {
      // Names what is wrong with it, never the secret.
      log.error({ err, source: name, tenant_id: call.tenantId }, 'a secret of a webhook source cannot be used')
    }
  }
  return keys
}
