import type { Webhooks } from '../../features/webhooks/index.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'

/** Tells of endpoints that do not get what they should, and of secrets that cannot be opened any more. */
export async function examineWebhooks(webhooks: Pick<Webhooks, 'survey'>): Promise<Finding> {
  const name = 'webhooks'
  try {
    const { enabled, failing, disabled, unreadable } = await webhooks.survey()
    if (unreadable)
      return {
        name,
        state: 'failed',
        detail: 'the secrets of endpoints cannot be opened',
        fix: 'List the secret that they were sealed under in FORGE_SECRET_PREVIOUS.',
      }
    const counts = `${enabled} endpoints, ${failing} failing, ${disabled} disabled by themselves`
    if (failing + disabled === 0 || failing + disabled < enabled) return fine(name, counts)
    return {
      name,
      state: 'warning',
      detail: counts,
      fix: 'When most fail, the fault may be here: look at FORGE_EGRESS_*, at DNS, and at the attempts of one of them.',
    }
  } catch (error) {
    return broken(name, error)
  }
}
