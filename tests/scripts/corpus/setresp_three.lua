-- Replies of the third protocol within a script.
redis.setresp(3)
local map = redis.call('HGETALL', KEYS[1])
local score = redis.call('ZSCORE', KEYS[2], 'm')
local out = {type(map), type(map.map), map.map and map.map.f, type(score), score.double and tostring(score.double)}
redis.setresp(2)
out[#out + 1] = #redis.call('HGETALL', KEYS[1])
return out
