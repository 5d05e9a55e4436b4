-- Whether an event is seen for the first time.
local fresh = {}
for i = 1, #ARGV do
  if redis.call('SET', KEYS[1] .. ARGV[i], 1, 'NX', 'EX', 600) then fresh[#fresh + 1] = ARGV[i] end
end
return fresh
