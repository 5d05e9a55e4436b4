-- The bytes of packed values.
local out = {}
for i, text in ipairs(ARGV) do out[i] = cmsgpack.pack(cjson.decode(text)) end
return out
