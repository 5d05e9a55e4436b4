-- All prefixes of a phrase.
local phrase = ARGV[1]:lower():gsub('%s+', ' ')
for i = 1, math.min(#phrase, 5) do redis.call('ZINCRBY', KEYS[1] .. phrase:sub(1, i), ARGV[2], phrase) end
return {phrase, redis.call('ZREVRANGE', KEYS[1] .. phrase:sub(1, 2), 0, -1, 'WITHSCORES')}
