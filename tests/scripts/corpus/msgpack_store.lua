-- Keeps a record packed.
local record = {id = tonumber(ARGV[1]), tags = {}, ratio = ARGV[1] / 3}
for i = 2, #ARGV do record.tags[i - 1] = ARGV[i] end
redis.call('SET', KEYS[1], cmsgpack.pack(record.id, record.tags, record.ratio))
local id, tags, ratio = cmsgpack.unpack(redis.call('GET', KEYS[1]))
return {id, tags, tostring(ratio), redis.call('STRLEN', KEYS[1])}
