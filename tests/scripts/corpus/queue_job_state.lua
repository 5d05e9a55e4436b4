-- In which of the places of a queue a job is.
local function inlist(key)
  for _, id in ipairs(redis.call('LRANGE', key, 0, -1)) do
    if id == ARGV[1] then return true end
  end
end
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 'completed' end
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 'delayed' end
if inlist(KEYS[3]) then return 'active' end
if inlist(KEYS[4]) then return 'waiting' end
return 'unknown'
