-- Who was there on all of the days.
redis.call('BITOP', 'AND', KEYS[#KEYS], unpack(KEYS, 1, #KEYS - 1))
local days = {redis.call('BITCOUNT', KEYS[#KEYS])}
for i = 1, #KEYS - 1 do days[#days + 1] = redis.call('BITCOUNT', KEYS[i]) end
return days
