-- Counts fields up to a maximum.
local reply = {}
for i = 2, #ARGV do
  local value = redis.call('HINCRBY', KEYS[1], ARGV[i], 1)
  if value > tonumber(ARGV[1]) then value = tonumber(ARGV[1]) redis.call('HSET', KEYS[1], ARGV[i], value) end
  reply[#reply + 1] = value
end
return reply
