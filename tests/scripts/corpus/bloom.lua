-- A filter of bits, with positions from the SHA-1 of the item.
local digest = redis.sha1hex(ARGV[2])
local known = 1
for i = 0, 4 do
  local position = tonumber(digest:sub(i * 7 + 1, i * 7 + 7), 16) % tonumber(ARGV[3])
  local op = ARGV[1] == 'add' and redis.call('SETBIT', KEYS[1], position, 1) or redis.call('GETBIT', KEYS[1], position)
  if op == 0 then known = 0 end
end
return known
