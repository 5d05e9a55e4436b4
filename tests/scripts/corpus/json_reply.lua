-- A table of all kinds of values as a reply.
local t = cjson.decode(ARGV[1])
return t
