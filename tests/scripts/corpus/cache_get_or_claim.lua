-- The cached value; or the claim to compute it, for one caller alone.
local value = redis.call('GET', KEYS[1])
if value then return {'hit', value} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', 5000) then return {'compute'} end
return {'wait', redis.call('GET', KEYS[2])}
