-- A running mean and variance (Welford's method).
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
local mean = tonumber(redis.call('HGET', KEYS[1], 'mean') or 0)
local m2 = tonumber(redis.call('HGET', KEYS[1], 'm2') or 0)
local delta = ARGV[1] - mean
mean = mean + delta / n
m2 = m2 + delta * (ARGV[1] - mean)
redis.call('HSET', KEYS[1], 'mean', mean, 'm2', m2)
return {n, tostring(mean), n > 1 and tostring(m2 / (n - 1)) or false}
