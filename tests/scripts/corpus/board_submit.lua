-- Keeps the better of old and new score, and tells rank and score.
local old = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not old or tonumber(ARGV[2]) > tonumber(old) then
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
end
local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
return {rank + 1, redis.call('ZSCORE', KEYS[1], ARGV[1]), redis.call('ZCARD', KEYS[1])}
