-- Errors of commands as values.
local out = {}
for i, call in ipairs({{'INCR', KEYS[1]}, {'NOSUCH', 'x'}, {'GET'}, {'LPUSH', KEYS[1], 'a'}, {'GET', KEYS[1]}}) do
  local reply = redis.pcall(unpack(call))
  out[i] = type(reply) == 'table' and reply.err or reply
end
return out
