-- Publishes a draft: copies, renames, and tells what is where.
local copied = redis.call('COPY', KEYS[1], KEYS[3], 'REPLACE')
redis.call('RENAME', KEYS[1], KEYS[2])
return {copied, redis.call('EXISTS', KEYS[1]), redis.call('GET', KEYS[2]), redis.call('GET', KEYS[3])}
