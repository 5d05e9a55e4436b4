-- What programs are made of: closures, methods, varargs, metatables.
local Stack = {}
Stack.__index = Stack
function Stack.new(...) return setmetatable({n = select('#', ...), ...}, Stack) end
function Stack:push(v) self.n = self.n + 1 self[self.n] = v return self end
function Stack:pop() local v = self[self.n] self[self.n] = nil self.n = self.n - 1 return v end
Stack.__tostring = function(s) return 'Stack(' .. s.n .. ')' end
Stack.__call = function(s, i) return s[i] end
local s = Stack.new(unpack(ARGV)):push('top')
local function counter() local n = 0 return function() n = n + 1 return n end end
local tick = counter() tick() tick()
return {tostring(s), s:pop(), s(1) or false, tick(), #s, select(-1, 1, 2, 3)}
