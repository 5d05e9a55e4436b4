-- Drops all keys that carry a tag.
local n = 0
for _, tag in ipairs(KEYS) do
  local keys = redis.call('SMEMBERS', tag)
  if #keys > 0 then n = n + redis.call('DEL', unpack(keys)) end
  redis.call('DEL', tag)
end
return n
