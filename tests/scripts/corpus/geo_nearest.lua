-- The nearest free driver, who is then taken.
local found = redis.call('GEOSEARCH', KEYS[1], 'FROMLONLAT', ARGV[1], ARGV[2], 'BYRADIUS', ARGV[3], 'km', 'ASC', 'WITHDIST')
for _, hit in ipairs(found) do
  if redis.call('SADD', KEYS[2], hit[1]) == 1 then return hit end
end
return redis.error_reply('NODRIVER within ' .. ARGV[3])
