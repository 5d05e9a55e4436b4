-- Numbers as arguments: whole ones and others.
redis.call('RPUSH', KEYS[1], 1, 1.5, 1e15, 1e17, -0.1, 2^53, 100)
return redis.call('LRANGE', KEYS[1], 0, -1)
