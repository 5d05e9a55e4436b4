-- Counts how often a holder entered; the lock is free when it has left as often.
local owner, op = ARGV[1], ARGV[2]
if op == 'enter' then
  if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HEXISTS', KEYS[1], owner) == 1 then
    local depth = redis.call('HINCRBY', KEYS[1], owner, 1)
    redis.call('EXPIRE', KEYS[1], 60)
    return depth
  end
  return nil
end
if redis.call('HEXISTS', KEYS[1], owner) == 0 then return nil end
local left = redis.call('HINCRBY', KEYS[1], owner, -1)
if left == 0 then redis.call('DEL', KEYS[1]) redis.call('PUBLISH', KEYS[1] .. ':free', owner) end
return left
