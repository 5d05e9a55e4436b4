-- Which features are on for a user, by share of a hash of name and user.
local on = {}
for _, name in ipairs(KEYS) do
  local share = tonumber(redis.call('GET', name) or 0)
  local slot = tonumber(redis.sha1hex(name .. '/' .. ARGV[1]):sub(1, 6), 16) % 100
  on[#on + 1] = slot < share and name or false
end
return on
