-- Words of a text, counted with patterns.
local counts, order = {}, {}
for word in ARGV[1]:gmatch('%a+') do
  word = string.lower(word)
  if not counts[word] then order[#order + 1] = word end
  counts[word] = (counts[word] or 0) + 1
end
table.sort(order)
for i, word in ipairs(order) do redis.call('HINCRBY', KEYS[1], word, counts[word]) end
return {#order, table.concat(order, ' '), string.format('%5.2f|%-6s|%05d|%x|%q', 3.14159, 'ab', 42, 255, 'q"\n')}
