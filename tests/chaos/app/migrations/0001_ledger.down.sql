drop table locked;
drop table counters;
drop table entries;
