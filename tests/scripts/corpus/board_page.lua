-- A page of a sorted set with what each member's hash says.
local size = tonumber(ARGV[2])
local first = (tonumber(ARGV[1]) - 1) * size
local page = {redis.call('ZCARD', KEYS[1])}
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[1], first, first + size - 1)) do
  page[#page + 1] = {id, redis.call('HMGET', 'user:' .. id, 'name', 'city')}
end
return page
