drop table forge_ratelimit_places;
drop table forge_ratelimit_windows;
drop table forge_ratelimit_cells;
