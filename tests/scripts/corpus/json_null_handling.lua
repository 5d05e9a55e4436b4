-- cjson.null is a value of its own, and not nil.
local t = cjson.decode(ARGV[1])
local out = {}
for i, v in ipairs(t) do
  out[i] = v == cjson.null and 'null' or type(v)
end
out[#out + 1] = tostring(t[1] == nil)
return out
