-- Arguments that no command can take.
return redis.call('SET', KEYS[1], {})
