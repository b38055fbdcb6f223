import type { WebhooksIn } from '../../features/webhooks-in/index.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'

/** Tells of sources that refuse everything. Those of tenants have secrets that nobody but their tenant can ask for. */
export async function examineWebhooksIn(hooks: Pick<WebhooksIn, 'sources' | 'withoutSecret'>): Promise<Finding> {
  const name = 'webhooks-in'
  try {
    const bare = await hooks.withoutSecret()
    const { size } = hooks.sources
    if (bare.length === 0)
      return fine(name, size === 0 ? 'no source is declared' : `sources: ${[...hooks.sources.keys()].join(', ')}`)
    return {
      name,
      state: 'warning',
      detail: `no secret that can be used: ${bare.join(', ')}`,
      fix: 'Everything that is sent to them is refused: set the secret that the sender shows, or leave the source out.',
    }
  } catch (error) {
    return broken(name, error)
  }
}
