-- Visitors of a day and of all days so far.
local fresh = redis.call('PFADD', KEYS[1], unpack(ARGV))
redis.call('PFMERGE', KEYS[2], KEYS[1])
return {fresh, redis.call('PFCOUNT', KEYS[1]), redis.call('PFCOUNT', KEYS[2])}
