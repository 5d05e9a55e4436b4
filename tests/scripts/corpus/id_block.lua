-- Hands out a block of ids.
local last = redis.call('INCRBY', KEYS[1], ARGV[1])
return {last - ARGV[1] + 1, last}
