local function show(v, depth)
  if type(v) == 'table' then
    local fields = {}
    for k, e in pairs(v) do
      fields[#fields + 1] = show(k, 3) .. '=' .. (e == _G and '_G' or depth > 2 and type(e) or show(e, depth + 1))
    end
    return '{' .. table.concat(fields, ' ') .. '}'
  end
  if type(v) == 'string' then return v end
  if type(v) == 'number' or type(v) == 'boolean' or v == nil then return tostring(v) end
  return type(v)
end
local function all(...)
  local shown = {}
  for i = 1, select('#', ...) do shown[i] = show((select(i, ...)), 1) end
  return shown
end
