-- Requests by user within one hash, limited by field expiry.
local count = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
if count == 1 then redis.call('HEXPIRE', KEYS[1], ARGV[3], 'FIELDS', 1, ARGV[1]) end
return count <= tonumber(ARGV[2])
