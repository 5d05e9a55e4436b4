-- Sets a key if it holds what is expected; an empty expectation means that it must be absent.
local now = redis.call('GET', KEYS[1])
if (now or '') ~= ARGV[1] then return now end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return redis.call('STRLEN', KEYS[1])
