-- Keeps the time of each request of the last window.
local key, now, window, limit = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', key, 0, now - window)
local used = redis.call('ZCARD', key)
local allowed = used < limit
if allowed then
  redis.call('ZADD', key, now, ARGV[4])
  redis.call('PEXPIRE', key, window)
end
local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
return {allowed, limit - used - (allowed and 1 or 0), first[2]}
