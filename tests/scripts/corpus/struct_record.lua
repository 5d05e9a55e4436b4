-- Fixed records in one string, as an array on disk.
local size = struct.size('>I4I2b')
for i = 1, #ARGV, 3 do
  local packed = struct.pack('>I4I2b', ARGV[i], ARGV[i + 1], ARGV[i + 2])
  redis.call('APPEND', KEYS[1], packed)
end
local data, out = redis.call('GET', KEYS[1]), {}
for at = 1, #data, size do
  local a, b, c, following = struct.unpack('>I4I2b', data, at)
  out[#out + 1] = {a, b, c, following}
end
return out
