create table forge_webhooks_in_deliveries (
  id uuid primary key,
  source text not null,
  -- Null: of the app itself.
  tenant_id uuid,
  -- The sender's, or a digest of what was signed where it gives none.
  delivery_id text not null,
  -- SHA-256 of what was signed, where the id was not: under a new id it would be the same delivery.
  proof bytea,
  event text,
  -- Null where the scheme signs no time.
  signed_at timestamptz,
  received_at timestamptz not null,
  -- Without credentials and signatures.
  headers json not null,
  content_type text,
  -- The bytes that were signed. Null: had its time; the row stays as the memory of its id.
  body bytea,
  state text not null default 'pending' check (state in ('pending', 'handled', 'dead')),
  attempts integer not null default 0,
  -- Name of the latest failure.
  error text,
  -- Set by the transaction of the handler's effect.
  effect_at timestamptz,
  settled_at timestamptz,
  job_id bigint
);

create unique index forge_webhooks_in_deliveries_ids on forge_webhooks_in_deliveries
  (source, coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'::uuid), delivery_id);
create unique index forge_webhooks_in_deliveries_proofs on forge_webhooks_in_deliveries
  (source, coalesce(tenant_id, '00000000-0000-0000-0000-000000000000'::uuid), proof) where proof is not null;
create index forge_webhooks_in_deliveries_list on forge_webhooks_in_deliveries (tenant_id, id desc) where body is not null;
create index forge_webhooks_in_deliveries_pending on forge_webhooks_in_deliveries (received_at) where state = 'pending';
-- Those whose content has had its time must not be in the way of those that still have it.
create index forge_webhooks_in_deliveries_settled on forge_webhooks_in_deliveries (received_at)
  where state <> 'pending' and body is not null;
create index forge_webhooks_in_deliveries_remembered on forge_webhooks_in_deliveries (received_at) where body is null;
