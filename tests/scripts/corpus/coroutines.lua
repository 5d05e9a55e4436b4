-- A generator as a coroutine.
local function generate(n)
  return coroutine.wrap(function() for i = 1, n do coroutine.yield(i * i) end end)
end
local out = {}
for square in generate(tonumber(ARGV[1])) do out[#out + 1] = square end
return out
