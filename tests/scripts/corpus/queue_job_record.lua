-- Stores a job as a hash and queues its id, which comes from a counter; the job's options are JSON.
local id = redis.call('INCR', KEYS[1])
local options = cjson.decode(ARGV[2])
local key = KEYS[2] .. id
redis.call('HMSET', key, 'data', ARGV[1], 'delay', options.delay or 0, 'attempts', options.attempts or 1)
if options.delay and options.delay > 0 then
  redis.call('ZADD', KEYS[3], options.now + options.delay, id)
elseif options.lifo then
  redis.call('RPUSH', KEYS[4], id)
else
  redis.call('LPUSH', KEYS[4], id)
end
return tostring(id)
