-- Adds jobs to a queue, each once.
local added = 0
for _, job in ipairs(ARGV) do
  if redis.call('SADD', KEYS[2], job) == 1 then
    redis.call('LPUSH', KEYS[1], job)
    added = added + 1
  end
end
return {added, redis.call('LLEN', KEYS[1])}
