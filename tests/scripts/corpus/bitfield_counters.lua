-- Small counters side by side that stop at their limits.
local out = {}
for i, slot in ipairs(ARGV) do
  out[i] = redis.call('BITFIELD', KEYS[1], 'OVERFLOW', 'SAT', 'INCRBY', 'u4', '#' .. slot, 7)[1]
end
return out
