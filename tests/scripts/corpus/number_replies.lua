-- How numbers become replies: whole parts only.
return {1.9, -1.9, 0.1, 2^31, 2^53, -2^53, 1e15, tonumber(ARGV[1]) or 'none', tostring(1e15), tostring(0.1), tostring(2^63)}
