-- Scores of several days, summed, and the best of them.
redis.call('ZUNIONSTORE', KEYS[#KEYS], #KEYS - 1, unpack(KEYS, 1, #KEYS - 1))
redis.call('EXPIRE', KEYS[#KEYS], 60)
return redis.call('ZREVRANGE', KEYS[#KEYS], 0, ARGV[1] - 1, 'WITHSCORES')
