-- Walks a small hash with a cursor.
local cursor, fields = '0', {}
repeat
  local reply = redis.call('HSCAN', KEYS[1], cursor, 'MATCH', ARGV[1], 'COUNT', 10)
  cursor = reply[1]
  for i = 1, #reply[2], 2 do fields[#fields + 1] = reply[2][i] end
until cursor == '0'
table.sort(fields)
return fields
