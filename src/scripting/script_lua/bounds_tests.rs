//! Scripts that want all memory there is, in an engine that has little: each ends in an error, and the next script finds the
//! engine as it was.

use crate::server::Argv;
use crate::server::dispatch;
use crate::server::testing::Bench;

/// What the engine may hold.
const LIMIT: usize = 32 << 20;

fn eval(bench: &mut Bench, script: &str) -> String {
    bench.client.argv = Argv::from_args(&["EVAL", script, "0"]);
    let spec = bench.srv.commands.lookup(b"EVAL");
    dispatch::process_command(&mut bench.srv, &mut bench.client, spec);
    String::from_utf8_lossy(&bench.client.out.take_bytes()).into_owned()
}

#[test]
fn memory_bombs_end_in_an_error() {
    let mut bench = Bench::new();
    bench.srv.scripting.eval.engine().limit_memory(LIMIT);
    for script in [
        "return string.rep('x', 2^40)",
        "return string.rep('x', 2^25)",
        "return string.rep(string.rep('x', 2^20), 2^31 - 1)",
        "local s = 'x' while true do s = s .. s end",
        "local s = 'x' while true do s = s:rep(2) end",
        "local s = ('x'):rep(2^22) local t = {} while true do t[#t + 1] = s:upper() s = s .. '.' end",
        "local t = {} while true do t[#t + 1] = #t end",
        "local t = {} for i = 1, 1e9 do t['k' .. i] = i end",
        "local t = {} for i = 1, 1e9 do t = {t} end",
        "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() end) end",
        "local t = {} for i = 1, 1e9 do t[i] = newproxy(true) end",
        "local f = function() end while true do local g = f f = function() return g end end",
        "local s = ('x'):rep(1000) local t = {} for i = 1, 100000 do t[i] = s end return #table.concat(t)",
        "return table.concat({1, 2, 3, 4}, ('x'):rep(2^23))",
        "return ('x'):rep(1000000):gsub('x', ('y'):rep(1000))",
        "local s = ('y'):rep(1000) return ('x'):rep(1000000):gsub('x', function() return s end)",
        "local s = ('y'):rep(1000) return ('x'):rep(1000000):gsub('x', {x = s})",
        "return ('x'):rep(1000000):gsub('(x)', ('%1'):rep(1000))",
        "local s = ('x'):rep(2^22) return string.format('%s%s%s%s%s%s%s%s', s, s, s, s, s, s, s, s)",
        "return string.format('%q', ('\\0'):rep(2^23))",
        "local s = ('x'):rep(2^23) return {s:match('((((((((.*))))))))')} and {s .. 1, s .. 2, s .. 3, s .. 4}",
        "table.insert({}, -2^31, 1)",
        "local t = {} for i = 1, 200 do t[i] = ('x'):rep(i * 1000) end while true do t[#t + 1] = cjson.encode(t) end",
        "local t = {} while true do t[#t + 1] = cmsgpack.pack(('x'):rep(1000000)) .. #t end",
    ] {
        let reply = eval(&mut bench, script);
        assert!(reply.contains("not enough memory"), "{script}\n{reply:.200}");
        assert_eq!(eval(&mut bench, "collectgarbage() return 'alive'"), "$5\r\nalive\r\n", "{script}");
        let left = bench.srv.scripting.eval.engine().used_memory();
        assert!(left < LIMIT / 8, "{script} left {left} bytes");
    }
}

/// What a caught error leaves is no different: a script that goes on has what memory it has.
#[test]
fn a_script_may_go_on_without_the_memory_it_wanted() {
    let mut bench = Bench::new();
    bench.srv.scripting.eval.engine().limit_memory(LIMIT);
    let reply = eval(
        &mut bench,
        "local ok, text = pcall(function() local s = 'x' while true do s = s .. s end end)
         return {tostring(ok), tostring(text), ('x'):rep(10)}",
    );
    assert_eq!(reply, "*3\r\n$5\r\nfalse\r\n$17\r\nnot enough memory\r\n$10\r\nxxxxxxxxxx\r\n");
}

#[test]
fn readers_without_an_end_are_bounded() {
    let mut bench = Bench::new();
    bench.srv.scripting.eval.engine().limit_memory(LIMIT);
    for (reader, expected) in [
        ("return 'x = 1 '", "not enough memory"),
        ("n = n + 1 return n == 1 and '\"' or ('x'):rep(1000)", "not enough memory"),
        ("n = n + 1 return n == 1 and 'return ' or '{'", "C stack overflow"),
        ("n = n + 1 return n == 1 and 'return ' or '('", "C stack overflow"),
        ("n = n + 1 return n == 1 and 'return x' or '.x'", "not enough memory"),
        ("n = n + 1 return n == 1 and 'return x' or '..x'", "C stack overflow"),
        ("n = n + 1 return n == 1 and 'return [' or ('='):rep(1000)", "not enough memory"),
        ("n = n + 1 return 'local x' .. n .. ' '", "more than 200 local variables"),
        ("n = n + 1 return '\\27Lua'", "unexpected symbol near 'char(27)'"),
        ("n = n + 1 return n < 3 and '\\n' or '\\27Lua'", "unexpected symbol near 'char(27)'"),
        ("return {}", "reader function must return a string"),
        ("error('own')", "own"),
    ] {
        let script = format!(
            "local n = 0 local f, text = load(function() {reader} end)
             return {{tostring(f), type(text) == 'table' and text.err or text}}"
        );
        let reply = eval(&mut bench, &script);
        assert!(reply.starts_with("*2\r\n$3\r\nnil\r\n"), "{reader}\n{reply:.200}");
        assert!(reply.contains(expected), "{reader}\n{reply:.200}");
        assert_eq!(eval(&mut bench, "collectgarbage() return 'alive'"), "$5\r\nalive\r\n", "{reader}");
    }
    // Bytecode is refused at the first byte of the first piece.
    let asked = "local n = 0 load(function() n = n + 1 return '\\27LuaQ' end) return n";
    assert_eq!(eval(&mut bench, asked), ":1\r\n");
}
