-- Pages by the last score and member seen rather than by offset, so that new members shift nothing.
local min = ARGV[1] == '' and '-inf' or ARGV[1]
local page, cursor = {}, nil
local rows = redis.call('ZRANGEBYSCORE', KEYS[1], min, '+inf', 'WITHSCORES')
for i = 1, #rows, 2 do
  if rows[i + 1] ~= ARGV[1] or rows[i] > ARGV[2] then
    page[#page + 1] = rows[i]
    cursor = {rows[i + 1], rows[i]}
    if #page == tonumber(ARGV[3]) then break end
  end
end
return {page, cursor or false}
