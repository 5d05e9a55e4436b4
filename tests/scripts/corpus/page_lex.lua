-- Names that begin with a prefix, from a set where all scores are the same.
return redis.call('ZRANGEBYLEX', KEYS[1], '[' .. ARGV[1], '(' .. ARGV[1] .. '\255', 'LIMIT', ARGV[2], ARGV[3])
