-- Appends packed records to a string, and reads them one by one.
for i = 1, #ARGV do redis.call('APPEND', KEYS[1], cmsgpack.pack({i, ARGV[i]})) end
local message, offset, out = redis.call('GET', KEYS[1]), 0, {}
while offset >= 0 and #message > 0 do
  local item
  offset, item = cmsgpack.unpack_one(message, offset)
  out[#out + 1] = item
end
return out
