-- Replaces a part of a list.
local items = redis.call('LRANGE', KEYS[1], 0, -1)
local from, count = tonumber(ARGV[1]) + 1, tonumber(ARGV[2])
for _ = 1, count do table.remove(items, from) end
for i = #ARGV, 3, -1 do table.insert(items, from, ARGV[i]) end
redis.call('DEL', KEYS[1])
if #items > 0 then redis.call('RPUSH', KEYS[1], unpack(items)) end
return redis.call('LRANGE', KEYS[1], 0, -1)
