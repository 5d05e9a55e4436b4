-- Replies within replies.
return {{1, {2, {3, {4, {}}}}}, {'a', {false, {true}}}, {ok = 'STATUS'}, {err = 'ERRINSIDE text'}}
