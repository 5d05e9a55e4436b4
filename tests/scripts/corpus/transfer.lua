-- Moves money, never below zero, with a journal.
local amount = tonumber(ARGV[1])
if not amount or amount <= 0 then return redis.error_reply('ERR amount must be positive') end
local balance = tonumber(redis.call('GET', KEYS[1]) or 0)
if balance < amount then return redis.error_reply('INSUFFICIENT ' .. balance) end
redis.call('DECRBY', KEYS[1], amount)
redis.call('INCRBY', KEYS[2], amount)
redis.call('RPUSH', KEYS[3], KEYS[1] .. '>' .. KEYS[2] .. ':' .. amount)
return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}
