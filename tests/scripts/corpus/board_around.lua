-- The neighbours of a player.
local rank = redis.call('ZREVRANK', KEYS[1], ARGV[1])
if not rank then return {} end
local from = math.max(0, rank - ARGV[2])
local rows = redis.call('ZREVRANGE', KEYS[1], from, rank + ARGV[2], 'WITHSCORES')
local out = {}
for i = 1, #rows, 2 do
  out[#out + 1] = {from + #out + 1, rows[i], rows[i + 1]}
end
return out
