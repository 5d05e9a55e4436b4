-- Values of the third protocol, built by hand.
redis.setresp(3)
local kind = ARGV[1]
if kind == 'map' then return {map = {only = 1}} end
if kind == 'set' then return {set = {only = true}} end
if kind == 'double' then return {double = 3.25} end
if kind == 'bool' then return true end
if kind == 'false' then return false end
if kind == 'nil' then return nil end
if kind == 'verbatim' then return {verbatim_string = {format = 'txt', string = 'some text'}} end
if kind == 'big' then return {big_number = '123456789012345678901234567890'} end
