-- A message with a length in front.
if ARGV[1] == 'write' then
  return struct.pack('<HBc0', #ARGV[2], 7, ARGV[2])
end
local ok, length, kind = pcall(struct.unpack, '<HB', ARGV[2])
if not ok then return {err = 'TRUNCATED ' .. length} end
return {kind, (struct.unpack('c' .. length, ARGV[2], 4))}
