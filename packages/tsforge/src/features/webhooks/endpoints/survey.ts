import { secretsErrors } from '../../../kernel/secrets.ts'
import type { Queryable } from '../../../primitives/db/index.ts'
import type { SealedSecret, Vault } from './secrets.ts'
import type { SignatureForm } from './endpoint.ts'

export interface EndpointsSurvey {
  readonly enabled: number
  /** Of the enabled ones: nothing but failures since an hour or more. */
  readonly failing: number
  /** By themselves. */
  readonly disabled: number
  /** Sealed under a secret that the app has no more. */
  readonly unreadable: boolean
}

/** How the endpoints of all tenants fare; for operators. */
export async function surveyEndpoints(db: Queryable, vault: Vault): Promise<EndpointsSurvey> {
  const { rows } = await db.query<Omit<EndpointsSurvey, 'unreadable'>>(
    `select (count(*) filter (where enabled))::int as enabled,
       (count(*) filter (where enabled and f.failing_since < now() - interval '1 hour'))::int as failing,
       (count(*) filter (where disabled_reason in ('gone', 'failing')))::int as disabled
     from forge_webhooks_endpoints e join forge_webhooks_flows f on f.endpoint_id = e.id where deleted_at is null`,
  )
  // Whatever the app was given as its secret was it for all of them: the oldest tells.
  const oldest = await db.query<{ id: string; signature: SignatureForm; secrets: readonly SealedSecret[] }>(
    'select id, signature, secrets from forge_webhooks_endpoints where deleted_at is null order by id limit 1',
  )
  return { ...rows[0]!, unreadable: oldest.rows.some((endpoint) => isUnreadable(endpoint, vault)) }
}

function isUnreadable(
  endpoint: { readonly id: string; readonly signature: SignatureForm; readonly secrets: readonly SealedSecret[] },
  vault: Vault,
): boolean {
  try {
    vault.show(endpoint, endpoint.secrets, 0)
    return false
  } catch (error) {
    if (secretsErrors.is(error, 'secrets.unreadable')) return true
    throw error
  }
}
