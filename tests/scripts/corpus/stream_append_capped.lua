-- Adds an event and keeps the stream short.
local id = redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], ARGV[2], 'type', ARGV[3], 'data', ARGV[4])
redis.call('HINCRBY', KEYS[2], ARGV[3], 1)
return {id, redis.call('XLEN', KEYS[1])}
