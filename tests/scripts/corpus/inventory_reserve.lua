-- Reserves all of several goods, or none.
for i = 1, #KEYS do
  local stock = tonumber(redis.call('HGET', KEYS[i], 'free'))
  if not stock then return redis.error_reply('NOITEM ' .. KEYS[i]) end
  if stock < tonumber(ARGV[i]) then return {KEYS[i], stock, -1} end
end
local left = {}
for i = 1, #KEYS do
  left[i] = redis.call('HINCRBY', KEYS[i], 'free', '-' .. ARGV[i])
  redis.call('HINCRBY', KEYS[i], 'held', ARGV[i])
end
return left
