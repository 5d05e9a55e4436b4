-- Finishes a job: off the list of those at work, counted, and what depends on it set free.
if redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 then return -1 end
redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
local freed = redis.call('LRANGE', KEYS[3], 0, -1)
if #freed > 0 then
  redis.call('LPUSH', KEYS[4], unpack(freed))
  redis.call('DEL', KEYS[3])
end
return #freed
