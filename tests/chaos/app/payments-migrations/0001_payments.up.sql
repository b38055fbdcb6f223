create table payments (id uuid not null, created_at timestamptz not null default clock_timestamp());
create index payments_id on payments (id);
