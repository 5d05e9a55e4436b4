-- A counter as digits of base 62.
local digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
local known = redis.call('HGET', KEYS[2], ARGV[1])
if known then return known end
local n, code = redis.call('INCRBY', KEYS[1], 12345), ''
repeat
  local r = n % 62
  code = digits:sub(r + 1, r + 1) .. code
  n = (n - r) / 62
until n == 0
redis.call('HSET', KEYS[2], ARGV[1], code)
redis.call('HSET', KEYS[3], code, ARGV[1])
return code
