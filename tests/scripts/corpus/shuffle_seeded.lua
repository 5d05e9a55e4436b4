-- A shuffle that is the same for the same seed.
math.randomseed(tonumber(ARGV[1]))
local items = redis.call('LRANGE', KEYS[1], 0, -1)
for i = #items, 2, -1 do
  local j = math.random(i)
  items[i], items[j] = items[j], items[i]
end
return items
