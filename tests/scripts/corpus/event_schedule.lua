-- A calendar: the next events of several rooms that do not overlap.
local start, stop = tonumber(ARGV[1]), tonumber(ARGV[2])
for _, room in ipairs(KEYS) do
  local clash = false
  for _, booking in ipairs(redis.call('ZRANGEBYSCORE', room, '-inf', '(' .. stop)) do
    local _, _, ending = booking:find('%-(%d+)$')
    if tonumber(ending) > start then clash = true break end
  end
  if not clash then
    redis.call('ZADD', room, start, start .. '-' .. stop)
    return room
  end
end
return false
