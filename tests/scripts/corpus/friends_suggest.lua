-- Friends of friends, by how many they share.
local counts, names = {}, {}
for _, friend in ipairs(redis.call('SORT', KEYS[1], 'ALPHA')) do
  for _, other in ipairs(redis.call('SORT', 'f:' .. friend, 'ALPHA')) do
    if other ~= ARGV[1] and redis.call('SISMEMBER', KEYS[1], other) == 0 then
      if not counts[other] then counts[other] = 0 names[#names + 1] = other end
      counts[other] = counts[other] + 1
    end
  end
end
table.sort(names, function(a, b) return counts[a] > counts[b] or (counts[a] == counts[b] and a < b) end)
local out = {}
for i, name in ipairs(names) do out[i] = name .. ':' .. counts[name] end
return out
