-- Ids of time, worker and sequence. They exceed a double's precision, so that they are put together as text.
local ms, worker = tonumber(ARGV[1]), tonumber(ARGV[2])
local last = redis.call('HMGET', KEYS[1], 'ms', 'seq')
local seq = 0
if last[1] and tonumber(last[1]) >= ms then ms = tonumber(last[1]) seq = last[2] + 1 end
if seq > 3 then ms = ms + 1 seq = 0 end
redis.call('HSET', KEYS[1], 'ms', string.format('%.0f', ms), 'seq', seq)
return string.format('%.0f-%d-%d', ms, worker, seq)
