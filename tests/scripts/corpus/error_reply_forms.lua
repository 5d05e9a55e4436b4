-- The ways to answer an error.
local forms = {
  plain = function() return redis.error_reply('plain text') end,
  coded = function() return redis.error_reply('MYCODE with text') end,
  dash = function() return redis.error_reply('-DASH in front') end,
  table = function() return {err = 'TABLE form'} end,
  status = function() return redis.status_reply('GOOD') end,
}
return forms[ARGV[1]]()
