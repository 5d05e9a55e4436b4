-- Serves tenants in turn, so that none waits for another's many jobs.
for i = 1, redis.call('LLEN', KEYS[1]) do
  local tenant = redis.call('LMOVE', KEYS[1], KEYS[1], 'LEFT', 'RIGHT')
  local job = redis.call('RPOP', KEYS[2] .. tenant)
  if job then return {tenant, job} end
end
return nil
