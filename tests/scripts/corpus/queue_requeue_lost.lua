-- Jobs whose worker is silent go back to the queue, those that failed too often to the dead.
local back, dead = 0, 0
for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, ARGV[1])) do
  redis.call('ZREM', KEYS[1], job)
  local tries = redis.call('HINCRBY', KEYS[4], job, 1)
  if tries > tonumber(ARGV[2]) then
    redis.call('RPUSH', KEYS[3], job) dead = dead + 1
  else
    redis.call('RPUSH', KEYS[2], job) back = back + 1
  end
end
return {back, dead}
