-- Many arguments at once.
local args = {}
for i = 1, tonumber(ARGV[1]) do args[i] = i end
redis.call('RPUSH', KEYS[1], unpack(args))
return {redis.call('LLEN', KEYS[1]), redis.call('LINDEX', KEYS[1], -1)}
