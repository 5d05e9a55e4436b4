-- At most so many sessions a user; the oldest is dropped.
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', 'session:' .. ARGV[2], 'at', ARGV[1])
local dropped = redis.call('ZRANGE', KEYS[1], 0, -(tonumber(ARGV[3]) + 1))
for _, id in ipairs(dropped) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('UNLINK', 'session:' .. id)
end
return dropped
