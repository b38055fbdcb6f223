import type { Queryable } from '../../../primitives/db/index.ts'
import type { DeliveryState, EndpointStats } from './delivery.ts'

/** How an endpoint fared since a moment. */
export async function selectStats(db: Queryable, endpointId: string, since: Date): Promise<EndpointStats> {
  const [states, attempts, flow] = await Promise.all([
    db.query<{ state: DeliveryState; count: number }>(
      `select state, count(*)::int as count from forge_webhooks_deliveries where endpoint_id = $1 and created_at >= $2 group by state`,
      [endpointId, since],
    ),
    db.query<{ attempts: number; failures: number; p50Ms: number | null; p95Ms: number | null }>(
      `select count(*)::int as attempts, (count(*) filter (where not ok))::int as failures,
         percentile_disc(0.5) within group (order by duration_ms) filter (where status is not null) as "p50Ms",
         percentile_disc(0.95) within group (order by duration_ms) filter (where status is not null) as "p95Ms"
       from forge_webhooks_attempts where endpoint_id = $1 and started_at >= $2`,
      [endpointId, since],
    ),
    db.query<Pick<EndpointStats, 'failingSince' | 'restsUntil'>>(
      'select failing_since as "failingSince", rests_until as "restsUntil" from forge_webhooks_flows where endpoint_id = $1',
      [endpointId],
    ),
  ])
  const counts = Object.fromEntries(states.rows.map(({ state, count }) => [state, count]))
  return {
    deliveries: { pending: 0, succeeded: 0, failed: 0, cancelled: 0, ...counts },
    ...attempts.rows[0]!,
    ...flow.rows[0]!,
  }
}
