-- What a key is like.
local key = KEYS[1]
if redis.call('EXISTS', key) == 0 then return redis.status_reply('none') end
return {redis.call('TYPE', key), redis.call('OBJECT', 'ENCODING', key), redis.call('TTL', key), redis.call('OBJECT', 'REFCOUNT', key) > 0}
