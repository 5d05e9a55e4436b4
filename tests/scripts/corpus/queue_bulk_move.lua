-- Retries all failed jobs, at most so many in one call.
local n = 0
while n < tonumber(ARGV[1]) do
  local job = redis.call('ZPOPMIN', KEYS[1])
  if #job == 0 then break end
  redis.call('LPUSH', KEYS[2], job[1])
  n = n + 1
end
return {n, redis.call('ZCARD', KEYS[1])}
