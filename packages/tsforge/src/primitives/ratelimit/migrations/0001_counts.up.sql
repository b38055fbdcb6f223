-- Counts are worth nothing after a crash: unlogged tables spare the write-ahead log. Room in every page keeps updates
-- of a row in its page (HOT); no column but the key is indexed, for the same reason.

-- gcra: moments in quarters of a microsecond since 1970.
create unlogged table forge_ratelimit_cells (
  key text primary key,
  until_q bigint not null,
  -- When, and how much, the last call took.
  seen_q bigint not null,
  granted bigint not null
) with (fillfactor = 50);

-- Sliding counters: the number of the window since 1970, what was spent in it and in the one before.
create unlogged table forge_ratelimit_windows (
  key text primary key,
  number bigint not null,
  spent bigint not null,
  before bigint not null,
  elapsed_ms bigint not null,
  window_ms bigint not null
) with (fillfactor = 50);

-- Who holds a place, by the end of the lease in milliseconds since 1970: {"<holder>": 1767225600000}.
create unlogged table forge_ratelimit_places (
  key text primary key,
  holders jsonb not null,
  seen_ms bigint not null
) with (fillfactor = 50);
