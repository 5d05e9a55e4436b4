-- The most frequent of a stream in bounded space: who is not among them takes the place of the least frequent.
for i = 2, #ARGV do
  local word = ARGV[i]
  if redis.call('ZSCORE', KEYS[1], word) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
    redis.call('ZINCRBY', KEYS[1], 1, word)
  else
    local least = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    redis.call('ZREM', KEYS[1], least[1])
    redis.call('ZADD', KEYS[1], least[2] + 1, word)
  end
end
return redis.call('ZREVRANGE', KEYS[1], 0, -1, 'WITHSCORES')
