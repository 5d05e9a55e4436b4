-- Permissions as bits of a number.
local flags = tonumber(redis.call('GET', KEYS[1]) or '0')
for i = 2, #ARGV do
  local mask = bit.lshift(1, ARGV[i])
  if ARGV[1] == 'grant' then flags = bit.bor(flags, mask)
  elseif ARGV[1] == 'revoke' then flags = bit.band(flags, bit.bnot(mask))
  else flags = bit.bxor(flags, mask) end
end
redis.call('SET', KEYS[1], flags)
return {flags, bit.tohex(flags), bit.tohex(flags, -4)}
