-- Positions and distances as text.
local at = redis.call('GEOPOS', KEYS[1], ARGV[1], ARGV[2])
local km = redis.call('GEODIST', KEYS[1], ARGV[1], ARGV[2], 'km')
return {at, km, redis.call('GEOHASH', KEYS[1], ARGV[1])}
