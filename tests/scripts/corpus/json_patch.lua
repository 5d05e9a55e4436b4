-- Sets a field deep in a stored document.
local doc = cjson.decode(redis.call('GET', KEYS[1]) or '{}')
local at = doc
for i = 1, #ARGV - 2 do
  local step = tonumber(ARGV[i]) or ARGV[i]
  if type(at[step]) ~= 'table' then at[step] = {} end
  at = at[step]
end
at[tonumber(ARGV[#ARGV - 1]) or ARGV[#ARGV - 1]] = cjson.decode(ARGV[#ARGV])
local text = cjson.encode(doc)
redis.call('SET', KEYS[1], text)
return text
