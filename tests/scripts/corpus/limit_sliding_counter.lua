-- Two windows, the older one weighted by how much of it is still in view.
local now, size, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local slot = math.floor(now / size)
local this, last = KEYS[1] .. ':' .. slot, KEYS[1] .. ':' .. (slot - 1)
local counts = redis.call('MGET', this, last)
local share = 1 - (now % size) / size
local estimate = (tonumber(counts[1]) or 0) + (tonumber(counts[2]) or 0) * share
if estimate >= limit then return {'denied', tostring(estimate)} end
redis.call('INCR', this)
redis.call('EXPIRE', this, size * 2)
return {'allowed', tostring(estimate)}
