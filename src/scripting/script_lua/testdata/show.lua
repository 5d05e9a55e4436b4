-- What the cases of the libraries have at hand, and how their results are written down.
local function text(v)
  local t = type(v)
  if t == 'number' then return string.format('%.17g', v) end
  if t == 'string' then return string.format('%d<%s>', #v, v) end
  if t ~= 'table' then return (t == 'function' or t == 'thread') and t or tostring(v) end
  local parts, n = {}, 0
  for k, e in pairs(v) do
    n = n + 1
    parts[n] = (n == k and '' or text(k) .. '=') .. text(e)
  end
  return '{' .. table.concat(parts, ' ') .. '}'
end
local function show(...)
  local out = {}
  for i = 1, select('#', ...) do out[i] = text((select(i, ...))) end
  return table.concat(out, ', ')
end
local function short(s) return #s, s:sub(1, 60) end
local function digest(v) local s = text(v) return #s, s:sub(1, 100), s:sub(-20) end
local function range(n) local t = {} for i = 1, n do t[i] = i end return t end
local function named(n) local t = {} for i = 1, n do t['k' .. i] = i end return t end
local function nest(n) local t = {} for i = 2, n do t = {t} end return t end
local function nestkeys(n) local t = {} for i = 2, n do t = {k = t} end return t end
local function circle() local t = {1} t[2] = t return t end
local strict = cjson.new()
strict.decode_invalid_numbers(false)
local function with(setting, value, ...) local c = cjson.new() c[setting](value) return c.encode(...) end
local function prec(p, v) return with('encode_number_precision', p, v) end
local function sparse(c, r, s, t) local j = cjson.new() j.encode_sparse_array(c, r, s) return j.encode(t) end
