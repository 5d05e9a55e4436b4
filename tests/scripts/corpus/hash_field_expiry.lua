-- Counters of a minute as fields that go by themselves.
local n = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
local set = redis.call('HEXPIRE', KEYS[1], ARGV[2], 'NX', 'FIELDS', 1, ARGV[1])
return {n, set, redis.call('HTTL', KEYS[1], 'FIELDS', 2, ARGV[1], 'other')}
