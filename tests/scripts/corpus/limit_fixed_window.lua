-- Counts within windows of fixed length.
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
if count > tonumber(ARGV[1]) then
  return {0, tonumber(ARGV[1]) - count, redis.call('TTL', KEYS[1])}
end
return {1, tonumber(ARGV[1]) - count, redis.call('TTL', KEYS[1])}
