create table entries (id uuid primary key, created_at timestamptz not null default now());
create table counters (name text primary key, value integer not null default 0);
insert into counters (name) values ('a'), ('b');
create table locked (id uuid primary key);
