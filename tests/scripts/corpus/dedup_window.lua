-- The same in one sorted set.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (ARGV[1] - ARGV[2]))
local reply = {}
for i = 3, #ARGV do reply[#reply + 1] = redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[i]) end
return reply
