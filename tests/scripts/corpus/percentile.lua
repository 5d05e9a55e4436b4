-- Percentiles of a sorted set of samples.
local n, out = redis.call('ZCARD', KEYS[1]), {}
if n == 0 then return out end
for i, p in ipairs(ARGV) do
  local at = math.min(n - 1, math.floor(n * p / 100))
  out[i] = redis.call('ZRANGE', KEYS[1], at, at, 'WITHSCORES')[2]
end
return out
