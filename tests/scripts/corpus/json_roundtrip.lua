-- Decodes and encodes again, and tells how the text changed.
local ok, value = pcall(cjson.decode, ARGV[1])
if not ok then return {err = 'BADJSON ' .. value} end
local text = cjson.encode(value)
return {text, text == ARGV[1] and 1 or 0, #text}
