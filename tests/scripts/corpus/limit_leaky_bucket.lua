-- A level that sinks steadily and must not overflow.
local level = tonumber(redis.call('HGET', KEYS[1], 'level') or '0')
local at = tonumber(redis.call('HGET', KEYS[1], 'at') or ARGV[1])
local drained = (tonumber(ARGV[1]) - at) * tonumber(ARGV[2])
level = level - drained
if level < 0 then level = 0 end
if level + 1 > tonumber(ARGV[3]) then
  return redis.error_reply(string.format('OVERFLOW level %.3f', level))
end
redis.call('HMSET', KEYS[1], 'level', string.format('%.6f', level + 1), 'at', ARGV[1])
return string.format('%.6f', level + 1)
