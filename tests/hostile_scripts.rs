//! Scripts that mean harm: each ends in an error (or in what it asks for, where that is harmless) in bounded time and memory,
//! and leaves the server alive and its globals as they were.
//!
//! Every case is a script and what its reply must contain. The words are upstream's, where upstream survives the script; some of
//! these scripts crash it, or break its state for all that come after.

mod common;

use std::time::Duration;

use common::{RawClient, TestServer};

/// No case may take longer, in a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(60);

/// No case may leave more resident memory behind than this, beyond what there was.
const MOST_MEMORY: usize = 1 << 30;

/// Walks all that scripts can reach from their globals, and hashes names, types and identities.
const CHECKSUM: &str = "
    local seen, lines = {}, {}
    local function walk(path, value)
      lines[#lines + 1] = path .. '=' .. tostring(value)
      if type(value) ~= 'table' or seen[value] then return end
      seen[value] = true
      for k, v in pairs(value) do
        if path ~= '_G' or (k ~= 'KEYS' and k ~= 'ARGV') then walk(path .. '.' .. tostring(k), v) end
      end
    end
    walk('_G', _G)
    walk('string metatable', getmetatable('') or false)
    table.sort(lines)
    return #lines .. ' ' .. redis.sha1hex(table.concat(lines, '\\n'))";

/// The reply to a script as text: the first line of an error, an aggregate's header, or the contents of a string.
fn eval(client: &mut RawClient, script: &str) -> String {
    client.command(&["EVAL", script, "0"]);
    let reply = client.reply();
    skip_elements(client, &reply);
    reply
}

/// Reads the rest of an aggregate, however deep.
fn skip_elements(client: &mut RawClient, header: &str) {
    let mut missing = elements(header);
    while missing > 0 {
        let line = client.reply();
        missing = missing - 1 + elements(&line);
    }
}

fn elements(line: &str) -> usize {
    line.strip_prefix('*').and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Runs each case on one server, and looks after each whether all is well.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    client.stream.set_read_timeout(Some(10 * LONGEST)).unwrap();
    let globals = eval(&mut client, CHECKSUM);
    assert!(globals.split(' ').next().unwrap().parse::<u32>().unwrap() > 100, "{globals}");
    let memory = server.resident();
    for (script, expected) in cases {
        let before = server.cpu_time();
        let reply = eval(&mut client, script);
        assert!(reply.contains(expected), "{script}\n  expected {expected}\n  found    {reply:.300}");
        let taken = server.cpu_time() - before;
        assert!(taken < LONGEST, "{script} took {taken:?}");
        assert!(server.resident() < memory + MOST_MEMORY, "{script} left {} bytes", server.resident());
        assert_eq!(eval(&mut client, CHECKSUM), globals, "{script} changed the globals");
        assert_eq!(server.raw().ask(&["PING"]), "+PONG", "{script}");
    }
}

#[test]
fn recursion() {
    check(&[
        ("local function f() return 1 + f() end return f()", "stack overflow"),
        ("local function f() return pcall(f) end return f()", ":1"),
        ("return setmetatable({}, {__index = function(s, k) return s[k] end}).x", "stack overflow"),
        ("local t = {} setmetatable(t, {__index = t}) return t.x", "loop in gettable"),
        ("return setmetatable({}, {__concat = function(a, b) return a .. b end}) .. 'x'", "stack overflow"),
        (
            "local m = {__eq = function(a, b) return a == b end} return setmetatable({}, m) == setmetatable({}, m)",
            "stack overflow",
        ),
        ("local function f() return coroutine.wrap(f)() end return f()", "stack overflow"),
        ("local t = {} t[1] = t return t", "*1"),
        ("local t = {} for i = 1, 1000000 do t = {t} end return t", "*1"),
        (
            "return select(2, xpcall(function() error('x') end, function() error('y') end))",
            "error in error handling",
        ),
    ]);
}

#[test]
fn patterns_and_strings() {
    check(&[
        ("return string.find(string.rep('x', 40), string.rep('(x', 300000))", "too many captures"),
        ("return string.find(string.rep('x', 60000), string.rep('x?', 60000))", "pattern too complex"),
        ("return string.find(string.rep('x', 30000), string.rep('x?', 30000))", ":1"),
        ("return string.gsub(string.rep('x', 100000), '', string.rep('y', 100)):len()", ":10100100"),
        ("return string.find(('%'):rep(60000), ('%'):rep(100001))", "malformed pattern (ends with '%')"),
        ("table.insert({}, -2^31, 1)", "not enough memory"),
        ("table.insert({}, -2^40, 1)", "not enough memory"),
        ("local t = {1, 2} table.insert(t, -3, 0) return t[-3]", ":0"),
        ("return string.find(string.rep('a', 300000), string.rep('(', 40))", "too many captures"),
        ("return string.find('x', '%')", "malformed pattern"),
        ("return string.find('x', '[' .. string.rep('a', 1000000))", "malformed pattern"),
        ("return string.gsub('x', 'x', '%9')", "invalid capture index"),
        ("return string.byte(string.rep('x', 1000000), 1, -1)", "string slice too long"),
        ("return string.char(-1)", "invalid value"),
        ("return string.format('%999d', 1)", "width or precision too long"),
        ("return string.format(string.rep('%s', 1000))", "no value"),
        ("return string.format('%' .. string.rep('0', 1000) .. 'd', 1)", "repeated flags"),
        ("return string.rep('x', -2^31) .. string.rep('', 2^31) .. 'end'", "end"),
        ("return table.concat({}, '', 1, 2^31 - 1)", "invalid value (nil) at index 1"),
        ("return table.concat({}, string.rep('x', 1000), 2^31 - 2, 2^31 - 1)", "invalid value (nil)"),
        ("return tonumber(string.rep('9', 1000000)) == math.huge and 'huge'", "huge"),
        ("return tonumber('zz', 37)", "base out of range"),
    ]);
}

#[test]
fn ranges_near_two_to_the_31() {
    check(&[
        ("return unpack({}, 1, 2^31 - 1)", "too many results to unpack"),
        ("return unpack({}, -2^31, 2^31 - 1)", "too many results to unpack"),
        ("return unpack({}, 0, 2^31 - 1)", "too many results to unpack"),
        ("return unpack({}, 1, 1e6)", "too many results to unpack"),
        ("return select('#', unpack({}, 2^31 - 10, 2^31 - 1))", ":10"),
        ("return select(-2^31, 1)", "index out of range"),
        ("return select(2^31, 1)", "index out of range"),
        ("table.insert({}, 2^31 - 1, 1) return 'done'", "done"),
        ("table.remove({}, 2^31 - 1) return 'done'", "done"),
        ("table.sort({3, 1, 2, 5, 4, 9, 8}, function() return true end)", "invalid order function"),
        ("return math.random(2, 1)", "interval is empty"),
    ]);
}

#[test]
fn parser() {
    check(&[
        ("return loadstring('\\27Lua') == nil and 'refused'", "refused"),
        ("return loadstring(string.dump(function() end)) == nil and 'refused'", "refused"),
        (
            "local n = 0 return load(function() n = n + 1 return n == 1 and '\\27LuaQ' or nil end) == nil and 'refused'",
            "refused",
        ),
        ("\x1bLuaQ", "-ERR"),
        ("return loadstring('x =', string.rep('n', 1000000)) == nil and 'refused'", "refused"),
        ("return loadstring('return ' .. string.rep('(', 1000000)) == nil and 'refused'", "refused"),
        ("return loadstring('return ' .. string.rep('{', 1000000)) == nil and 'refused'", "refused"),
        (
            "return loadstring('return ' .. string.rep('\"x\"..', 100000) .. '\"y\"') == nil and 'refused'",
            "refused",
        ),
        ("return loadstring('return ' .. string.rep('2^', 100000) .. '2') == nil and 'refused'", "refused"),
        ("return loadstring(string.rep('do ', 100000)) == nil and 'refused'", "refused"),
        ("return loadstring('local ' .. string.rep('x,', 300) .. 'x') == nil and 'refused'", "refused"),
        ("return loadstring('return [' .. string.rep('=', 1000000) .. '[x') == nil and 'refused'", "refused"),
        ("return loadstring('return [' .. string.rep('=', 1000000)) == nil and 'refused'", "refused"),
        ("return loadstring('return \"\\\\999\"') == nil and 'refused'", "refused"),
        ("return loadstring('return a' .. ('.b'):rep(300000)) and 'loaded'", "loaded"),
        ("return loadstring('return a' .. ('()'):rep(300000)) and 'loaded'", "loaded"),
        ("return loadstring('return ' .. ('not '):rep(1000000)) == nil and 'refused'", "refused"),
        ("return loadstring('return ' .. ('- '):rep(1000000)) == nil and 'refused'", "refused"),
        ("return loadstring('while true do ' .. ('x=1 '):rep(200000) .. 'end') == nil and 'refused'", "refused"),
        (
            "local t = {} for i = 1, 300000 do t[i] = i + 0.5 end
             local f, text = loadstring('return {' .. table.concat(t, ',') .. '}') return text",
            "constant table overflow",
        ),
        (
            "local t = {} for i = 1, 100 do t[i] = 'a' .. i end local list = table.concat(t, ',')
             local f, text = loadstring('local ' .. list .. ' return function() return ' .. list .. ' end') return text",
            "has more than 60 upvalues",
        ),
        ("return load(function() collectgarbage() return nil end) and 'loaded'", "loaded"),
        ("return load(function() error('in reader') end) == nil and 'refused'", "refused"),
        ("return load(function() return {} end) == nil and 'refused'", "refused"),
    ]);
}

#[test]
fn error_objects() {
    check(&[
        ("error()", "-ERR nil"),
        ("error({})", "-ERR"),
        ("error({err = 'OWN text'})", "-OWN text"),
        ("error({err = {}})", "-ERR"),
        ("error(setmetatable({}, {__tostring = function() error('again') end}))", "-ERR"),
        ("error(setmetatable({}, {__index = function() error('again') end}))", "-ERR"),
        ("error(function() end)", "-ERR"),
        ("error(true)", "-ERR"),
        ("error(12)", "12"),
        ("error(coroutine.create(function() end))", "-ERR thread"),
        ("error(cjson.null)", "-ERR userdata"),
        ("error('deep', 100)", "-ERR deep"),
        ("return {err = {}}", "*0"),
        ("return {ok = 'two\\r\\nlines'}", "+two  lines"),
        ("return setmetatable({}, {__index = function() error('no') end})", "*0"),
    ]);
}

#[test]
fn coroutines() {
    check(&[
        ("coroutine.yield(1)", "attempt to yield"),
        (
            "local co co = coroutine.wrap(function() return co() end) return co()",
            "cannot resume running coroutine",
        ),
        (
            "return coroutine.wrap(function() table.sort({2, 1}, function() coroutine.yield() end) end)()",
            "attempt to yield across metamethod/C-call boundary",
        ),
        ("return coroutine.wrap(function() return redis.call('PING') end)()", "+PONG"),
        ("return coroutine.wrap(function() error({err = 'FROM inside'}) end)()", "-FROM inside"),
        ("for i = 1, 100000 do coroutine.create(function() end) end return 'done'", "done"),
    ]);
}

/// Ways to change what all scripts share. The checksum tells whether one of them got through.
#[test]
fn globals_and_libraries_cannot_be_changed() {
    const READ_ONLY: &str = "Attempt to modify a readonly table";
    check(&[
        ("x = 1", READ_ONLY),
        ("_G.x = 1", READ_ONLY),
        ("_G._G = nil", READ_ONLY),
        ("rawset(_G, 'x', 1)", READ_ONLY),
        ("rawset(string, 'rep', nil)", READ_ONLY),
        ("rawset(redis, 'call', nil)", READ_ONLY),
        ("rawset(cjson, 'encode', nil)", READ_ONLY),
        ("string.rep = nil", READ_ONLY),
        ("redis.call = nil", READ_ONLY),
        ("cjson.null = 1", READ_ONLY),
        ("cmsgpack.x = 1", READ_ONLY),
        ("struct.x = 1", READ_ONLY),
        ("bit.x = 1", READ_ONLY),
        ("math.pi = 3", READ_ONLY),
        ("table.insert(_G, 1)", READ_ONLY),
        ("table.insert(string, 1)", READ_ONLY),
        ("table.insert(redis, 1, 2)", READ_ONLY),
        ("setmetatable(_G, {})", READ_ONLY),
        ("setmetatable(string, {})", READ_ONLY),
        ("setmetatable(redis, {__index = {}})", READ_ONLY),
        ("setmetatable('', {})", "table expected"),
        ("getmetatable('').__index = {}", "-ERR"),
        ("rawset(getmetatable(''), '__add', 1)", "-ERR"),
        ("getmetatable(_G).__newindex = nil", "-ERR"),
        ("rawset(getmetatable(_G), '__newindex', nil)", "-ERR"),
        ("setmetatable(getmetatable(_G), {})", "-ERR"),
        ("for k in pairs(_G) do _G[k] = nil end", READ_ONLY),
        ("local f = loadstring('x = 1') f()", READ_ONLY),
        ("table.sort(_G) return 'done'", ""),
        ("table.remove(redis) return 'done'", ""),
        ("pcall(setfenv, 0, {}) return 'done'", "done"),
        ("pcall(setfenv, 1, {}) return 'done'", ""),
        ("return nosuchglobal", "Script attempted to access nonexistent global variable 'nosuchglobal'"),
    ]);
}

#[test]
fn no_way_to_the_system() {
    let nonexistent = |name: &str| format!("Script attempted to access nonexistent global variable '{name}'");
    let cases = [
        ("return debug.getregistry()", nonexistent("debug")),
        ("return io.open('/etc/passwd')", nonexistent("io")),
        ("return package.loadlib('x', 'y')", nonexistent("package")),
        ("return require('os')", nonexistent("require")),
        ("return dofile('/etc/passwd')", nonexistent("dofile")),
        ("return loadfile('/etc/passwd')", nonexistent("loadfile")),
        ("return print('x')", nonexistent("print")),
        ("return os.execute('true')", "field 'execute'".to_string()),
        ("return os.exit(0)", "field 'exit'".to_string()),
        ("return os.getenv('HOME')", "field 'getenv'".to_string()),
        ("return redis.call('EVAL', 'return 1', 0)", "not allowed from script".to_string()),
        ("return redis.call('SUBSCRIBE', 'x')", "not allowed from script".to_string()),
        ("return redis.call({})", "must be strings or integers".to_string()),
    ];
    check(&cases.each_ref().map(|(script, expected)| (*script, expected.as_str())));
}

#[test]
fn libraries() {
    check(&[
        (
            "local t = {} for i = 1, 1000000 do t = {t} end return cjson.encode(t)",
            "Cannot serialise, excessive nesting (1001)",
        ),
        (
            "local t = {} for i = 1, 1000000 do t = {k = t} end return cjson.encode(t)",
            "Cannot serialise, excessive nesting (1001)",
        ),
        ("local t = {} for i = 1, 1000000 do t = {t} end return #cmsgpack.pack(t)", ":17"),
        (
            "return cjson.decode(string.rep('[', 1000000))",
            "Found too many nested data structures (1001) at character 1001",
        ),
        ("return cmsgpack.unpack(string.rep('\\145', 1000000))", "stack overflow"),
        ("return cmsgpack.unpack(string.rep('\\129\\1', 1000000))", "stack overflow"),
        (
            "return cmsgpack.unpack('\\221\\255\\255\\255\\255' .. string.rep('\\192', 1000))",
            "Missing bytes in input.",
        ),
        ("return cmsgpack.unpack('\\219\\255\\255\\255\\255x')", "Missing bytes in input."),
        ("return cmsgpack.unpack('\\221\\255\\255\\255\\255' .. ('\\1'):rep(2^26 + 1))", "table overflow"),
        ("return cmsgpack.unpack('\\223\\255\\255\\255\\255' .. ('\\1'):rep(2^27 + 2))", "table overflow"),
        ("return struct.unpack('c2147483647', 'x')", "data string too short"),
        ("return struct.unpack(string.rep('b', 100000), string.rep('x', 100000))", "too many results"),
        ("return struct.pack('i' .. string.rep('9', 1000000), 1)", "integral size overflow"),
        ("return struct.unpack('i4', 'abcd', 2^63)", "data string too short"),
        ("return bit.tohex(1, -2^31) .. bit.tohex(1, 2^31)", "0000000100000001"),
        // Keys that differ where plain Lua's hash does not look. With that hash they take minutes.
        (
            "local t, x = {}, string.rep('x', 61)
             for i = 0, 59999 do t['x' .. string.char(i % 250, math.floor(i / 250)) .. x] = i end
             return t['x' .. string.char(59999 % 250, math.floor(59999 / 250)) .. x]",
            ":59999",
        ),
        // Depths beyond the configured ones, for a library of its own.
        (
            "local c = cjson.new() c.decode_max_depth(2^31 - 1) return c.decode(string.rep('[', 1000000))",
            "Found too many nested data structures (7999)",
        ),
        (
            "local c = cjson.new() c.encode_max_depth(2^31 - 1) local t = {} t[1] = t return c.encode(t)",
            "Cannot serialise, excessive nesting",
        ),
    ]);
}

/// Holes of Lua 5.1 and of its users that were found over the years, by the numbers under which they are known.
#[test]
fn known_holes_are_closed() {
    let protected = "Attempt to modify a readonly table";
    check(&[
        // CVE-2014-5461: a function of many parameters and `...`, called with none of them near the end of the stack.
        (
            "local names = {} for i = 1, 199 do names[i] = 'a' .. i end
             local f = loadstring('return function(' .. table.concat(names, ',') .. ', ...) return select(\"#\", ...) end')()
             local function deep(n) if n == 0 then return f() end return 0 + deep(n - 1) end
             local sum = 0 for n = 1, 400 do sum = sum + deep(n) end return sum",
            ":0",
        ),
        // CVE-2021-43519: coroutines that resume each other.
        (
            "local function f() local co = coroutine.wrap(f) return co() end return f()",
            "stack overflow",
        ),
        // CVE-2022-0543: a way to load libraries of the system.
        ("return package", "nonexistent global variable 'package'"),
        ("return module", "nonexistent global variable 'module'"),
        // CVE-2024-31449: a number of digits that has no positive counterpart.
        ("return bit.tohex(65535, -2147483648)", "0000FFFF"),
        // CVE-2024-46981: finalizers that run while the state is in use, or is closed.
        (
            "getmetatable(newproxy(true)).__gc = function() redis.call('SET', 'x', 'y') end
             rawset(getmetatable(newproxy(true)), '__gc', error) setmetatable({}, {__gc = error})
             collectgarbage() return redis.call('EXISTS', 'x')",
            ":0",
        ),
        (
            "local function deep(n)
               if n > 0 then return (string.gsub('x', 'x', function() deep(n - 1) end)) end
               for i = 1, 3000 do cjson.new() redis.call('ECHO', ('x'):rep(100)) end
             end
             deep(198) return 'done'",
            "done",
        ),
        // CVE-2025-46817: ranges whose length overflows.
        ("return unpack({}, -1, 2147483647)", "too many results to unpack"),
        ("return unpack({}, -2147483648, 2147483647)", "too many results to unpack"),
        // CVE-2025-46818: metatables of basic types, which all scripts share.
        ("getmetatable('').__index = function() end", protected),
        ("local m = getmetatable('') m.__call = function() end", protected),
        ("return tostring(getmetatable(nil)) .. tostring(getmetatable(1)) .. tostring(getmetatable(true))", "nilnilnil"),
        // CVE-2025-46819: long brackets.
        ("return loadstring('return [' .. ('='):rep(100000)) == nil and 'refused'", "refused"),
        ("return loadstring('return [' .. ('='):rep(9) .. '[x]' .. ('='):rep(9) .. ']')()", "x"),
        ("return loadstring('--[' .. ('='):rep(100000) .. '[') == nil and 'refused'", "refused"),
        // CVE-2025-49844: the name of a chunk, collected while the chunk is parsed.
        (
            "for i = 1, 100 do
               local n = 0
               local function read()
                 n = n + 1
                 local garbage = ('g'):rep(n * 100) .. i
                 collectgarbage()
                 if n < 20 then return ' ' elseif n == 20 then return 'error(\"m\")' end
               end
               local ok, text = pcall(load(read, '@' .. ('x'):rep(30) .. i))
               if text ~= ('x'):rep(30) .. i .. ':1: m' then return text end
             end
             return 'done'",
            "done",
        ),
    ]);
}

/// Scripts without an end, whatever they are in the middle of, are ended by SCRIPT KILL; until then clients are told BUSY.
#[test]
fn endless_scripts_can_be_killed() {
    let server = TestServer::start(&["--busy-reply-threshold", "20"]);
    let mut client = server.raw();
    client.stream.set_read_timeout(Some(10 * LONGEST)).unwrap();
    let globals = eval(&mut client, CHECKSUM);
    for script in [
        "while true do end",
        "repeat until false",
        "while true do pcall(function() while true do end end) end",
        "local function f() return xpcall(f, f) end\nwhile true do f() end",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
        "return coroutine.wrap(function() return coroutine.wrap(function() while true do end end)() end)()",
        "local function f() while true do end end\nlocal t = setmetatable({}, {__index = f})\nreturn t.x",
        "table.sort({3, 2, 1}, function() while true do end end)",
        "return ('x'):gsub('x', function() while true do end end)",
        // Matching that takes exponential time, or a high power of the length.
        "return string.find(string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40) .. 'b')",
        "return string.match(string.rep('a', 100), string.rep('a-', 50) .. 'b')",
        "return string.gsub(string.rep('a', 10000), string.rep('.-', 50) .. 'b', '')",
        "for _ in string.gmatch(string.rep('a', 10000), string.rep('a*', 20) .. 'b') do end",
        "return string.find(string.rep('a', 1000000), '.-.-b')",
        "return string.find(string.rep('(', 1000000), '.-%b()')",
        "return string.find(string.rep('a', 1000000), '(a-)%1b')",
        "return string.find(string.rep('a', 100000), '[' .. string.rep('b', 100000) .. ']-c')",
        "while true do pcall(string.find, string.rep('a', 40), string.rep('a?', 40) .. string.rep('a', 40) .. 'b') end",
        // Functions that take long, one after the other.
        "local s = string.rep('x', 1e7)\nwhile true do s:reverse() end",
        "local s = string.rep('x', 1e7)\nwhile true do s:find('y') end",
        "while true do ('ab'):find('[c]') end",
        // Readers.
        "local f = load(function() return ' ' end)\nreturn f",
        "local f = load(coroutine.wrap(function() while true do coroutine.yield(' ') end end))\nreturn f",
        "local n = 0\nlocal f = load(function() n = n + 1 return n == 1 and '--[[' or 'x' end)\nreturn f",
    ] {
        client.command(&["EVAL", script, "0"]);
        let mut other = server.raw();
        let before = server.cpu_time();
        while !other.ask(&["PING"]).starts_with("-BUSY") {
            assert!(server.cpu_time() - before < LONGEST, "{script} is not busy");
        }
        assert_eq!(other.ask(&["SCRIPT", "KILL"]), "+OK", "{script}");
        let reply = client.reply();
        assert!(reply.contains("killed by user") || reply == "$-1", "{script}\n{reply:.300}");
        let taken = server.cpu_time() - before;
        assert!(taken < LONGEST, "{script} took {taken:?}");
        assert_eq!(client.ask(&["PING"]), "+PONG", "{script}");
        assert_eq!(eval(&mut client, CHECKSUM), globals, "{script} changed the globals");
    }
}

/// What a library does while it is loaded is bounded by its own limit of time.
#[test]
fn matching_while_a_library_is_loaded_is_bounded() {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    client.stream.set_read_timeout(Some(10 * LONGEST)).unwrap();
    // There is no `string` yet, but strings have its functions.
    let library = "#!lua name=stuck\nlocal x = ('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40) .. 'b')\n\
                   redis.register_function('f', function() return x end)";
    let reply = client.ask(&["FUNCTION", "LOAD", library]);
    assert!(reply.contains("FUNCTION LOAD timeout"), "{reply}");
}

/// Small tables that hold each other so often that they would never be written to the end.
#[test]
fn shared_tables_are_not_written_for_ever() {
    check(&[
        ("local t = {} for i = 1, 60 do t = {t, t} end return cjson.encode(t)", "not enough memory"),
        (
            "local t = {} for i = 1, 15 do local u = {} for j = 1, 100 do u[j] = t end t = u end return cmsgpack.pack(t)",
            "not enough memory",
        ),
        (
            "local c = cjson.new() c.encode_sparse_array(false, 0) return c.encode({[2^31 - 1] = 1})",
            "not enough memory",
        ),
    ]);
}
