-- Adds within bounds.
local value = tonumber(redis.call('GET', KEYS[1]) or 0) + ARGV[1]
value = math.min(math.max(value, ARGV[2]), ARGV[3])
redis.call('SET', KEYS[1], value)
return value
