-- Opens after too many failures, lets one request try again later.
local state = redis.call('HGET', KEYS[1], 'state') or 'closed'
local now = tonumber(ARGV[2])
if ARGV[1] == 'ask' then
  if state == 'open' and now >= tonumber(redis.call('HGET', KEYS[1], 'until')) then
    redis.call('HSET', KEYS[1], 'state', 'half') return 'try'
  end
  return state == 'closed' and 'go' or 'stop'
elseif ARGV[1] == 'fail' then
  local n = redis.call('HINCRBY', KEYS[1], 'failures', 1)
  if n >= 3 or state == 'half' then redis.call('HSET', KEYS[1], 'state', 'open', 'until', now + 10) return 'opened' end
  return n
end
redis.call('DEL', KEYS[1])
return 'closed'
