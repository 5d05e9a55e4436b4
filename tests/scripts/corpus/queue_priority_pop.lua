-- Takes from the first queue that is not empty.
for i = 1, #KEYS do
  local job = redis.call('LPOP', KEYS[i])
  if job then return {KEYS[i], job} end
end
return false
