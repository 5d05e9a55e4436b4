-- Entries as they come.
return redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[2])
