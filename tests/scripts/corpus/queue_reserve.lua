-- Takes jobs to a list of those at work, and notes until when they must be done.
local taken = {}
for i = 1, tonumber(ARGV[1]) do
  local job = redis.call('RPOPLPUSH', KEYS[1], KEYS[2])
  if not job then break end
  redis.call('ZADD', KEYS[3], ARGV[2], job)
  taken[#taken + 1] = job
end
return taken
