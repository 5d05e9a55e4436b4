-- Lengthens a lock that the caller still holds.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('NOTHELD the lock is not yours') end
local ttl = redis.call('TTL', KEYS[1])
redis.call('EXPIRE', KEYS[1], math.max(ttl, 0) + tonumber(ARGV[2]))
return redis.status_reply('EXTENDED')
