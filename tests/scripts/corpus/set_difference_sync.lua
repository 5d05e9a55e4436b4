-- Makes a set equal to the arguments, and tells what came and went.
local want, came, went = {}, 0, 0
for _, m in ipairs(ARGV) do want[m] = true end
for _, m in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if want[m] then want[m] = nil else went = went + redis.call('SREM', KEYS[1], m) end
end
for m in pairs(want) do came = came + redis.call('SADD', KEYS[1], m) end
return {came, went, redis.call('SORT', KEYS[1], 'ALPHA')}
