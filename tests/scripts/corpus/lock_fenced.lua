-- A lock that hands out a number that only grows, so that late writers can be told from current ones.
if redis.call('EXISTS', KEYS[1]) == 1 then return {false, redis.call('HGET', KEYS[1], 'owner')} end
local token = redis.call('INCR', KEYS[2])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', token)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return {true, token}
