-- A reply ends at its first nil; false is a null.
return {1, 2, false, 'x', nil, 'lost'}
