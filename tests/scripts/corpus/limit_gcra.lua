-- The generic cell rate algorithm: one number, the theoretical arrival time, is all that is stored.
local interval, burst, now, n = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local tat = math.max(tonumber(redis.call('GET', KEYS[1])) or now, now)
local new_tat = tat + interval * n
local allow_at = new_tat - interval * burst
if allow_at > now then
  return {1, 0, tostring(allow_at - now), tostring(tat - now)}
end
if new_tat > now then redis.call('SET', KEYS[1], new_tat, 'EX', math.ceil(new_tat - now)) end
return {0, math.floor((now - allow_at) / interval), '-1', tostring(new_tat - now)}
