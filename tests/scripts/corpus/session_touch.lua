-- Reads a session and lengthens it, unless it has been revoked.
if redis.call('SISMEMBER', KEYS[2], KEYS[1]) == 1 then redis.call('DEL', KEYS[1]) return redis.error_reply('REVOKED') end
local fields = redis.call('HGETALL', KEYS[1])
if #fields == 0 then return false end
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'hits', 1)
return fields
