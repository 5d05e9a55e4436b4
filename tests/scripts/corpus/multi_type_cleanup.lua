-- Removes keys of a type, and tells how many of each there were.
local counts = {}
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  counts[kind] = (counts[kind] or 0) + 1
  if kind == ARGV[1] then redis.call('DEL', key) end
end
local out = {}
for kind, n in pairs(counts) do out[#out + 1] = kind .. '=' .. n end
table.sort(out)
return out
