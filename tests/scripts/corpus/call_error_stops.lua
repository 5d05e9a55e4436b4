-- An error of a call ends the script, and what was done stays.
redis.call('SET', KEYS[1], 'before')
redis.call('INCR', KEYS[1])
redis.call('SET', KEYS[1], 'after')
return 1
