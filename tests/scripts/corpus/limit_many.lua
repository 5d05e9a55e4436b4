-- Several limits at once: a request counts only if all of them allow it.
for i, key in ipairs(KEYS) do
  local used = tonumber(redis.call('GET', key) or 0)
  if used + 1 > tonumber(ARGV[2 * i - 1]) then return {false, i, key} end
end
local left = {}
for i, key in ipairs(KEYS) do
  local used = redis.call('INCR', key)
  if used == 1 then redis.call('EXPIRE', key, ARGV[2 * i]) end
  left[i] = ARGV[2 * i - 1] - used
end
return {true, left}
