-- Reads for a consumer, notes and acknowledges at once.
local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], '>')
if not reply then return 0 end
local n = 0
for _, entry in ipairs(reply[1] and reply[1][2] or reply[KEYS[1]]) do
  redis.call('RPUSH', KEYS[2], entry[1] .. '=' .. table.concat(entry[2], ','))
  n = n + redis.call('XACK', KEYS[1], ARGV[1], entry[1])
end
return n
