-- One vote a user, which may be changed.
local old = redis.call('HGET', KEYS[2], ARGV[1])
if old == ARGV[2] then return {0, redis.call('ZSCORE', KEYS[1], ARGV[2])} end
if old then redis.call('ZINCRBY', KEYS[1], -1, old) end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return {1, redis.call('ZINCRBY', KEYS[1], 1, ARGV[2])}
