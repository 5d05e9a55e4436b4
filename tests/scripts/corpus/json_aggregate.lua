-- Sums a field of the JSON records of a list.
local sum, n, bad = 0, 0, {}
for i, text in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local ok, record = pcall(cjson.decode, text)
  if ok and type(record) == 'table' and type(record[ARGV[1]]) == 'number' then
    sum, n = sum + record[ARGV[1]], n + 1
  else
    bad[#bad + 1] = i
  end
end
return cjson.encode({sum = sum}) .. n .. cjson.encode(bad)
