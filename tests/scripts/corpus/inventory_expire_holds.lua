-- Gives back what was reserved for too long.
local n = 0
for _, hold in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, ARGV[1])) do
  local item, count = hold:match('^(%w+):(%d+):')
  redis.call('HINCRBY', KEYS[2], item, count)
  redis.call('ZREM', KEYS[1], hold)
  n = n + count
end
return n
