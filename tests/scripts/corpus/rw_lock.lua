-- Readers share, a writer is alone.
local state = redis.call('HMGET', KEYS[1], 'writer', 'readers')
local writer, readers = state[1], tonumber(state[2] or 0)
if ARGV[1] == 'read' then
  if writer then return {err = 'BUSY writer ' .. writer} end
  return redis.call('HINCRBY', KEYS[1], 'readers', 1)
elseif ARGV[1] == 'write' then
  if writer or readers > 0 then return {err = 'BUSY readers ' .. readers} end
  redis.call('HSET', KEYS[1], 'writer', ARGV[2])
  return {ok = 'WRITING'}
elseif ARGV[1] == 'done' then
  if readers > 0 then return redis.call('HINCRBY', KEYS[1], 'readers', -1) end
  return redis.call('HDEL', KEYS[1], 'writer')
end
return redis.error_reply('unknown mode')
