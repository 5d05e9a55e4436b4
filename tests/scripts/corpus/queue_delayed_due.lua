-- Moves jobs whose time has come from a sorted set to the queue, some at a time.
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, job in ipairs(due) do
  redis.call('ZREM', KEYS[1], job)
  redis.call('LPUSH', KEYS[2], job)
end
local nextone = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {#due, nextone[2] or false}
