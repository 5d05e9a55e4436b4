-- What a misspelt name gives.
return redis.call('SET', KEYS[1], vlaue)
