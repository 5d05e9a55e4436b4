//! Libraries of functions, through the wire. Replies and errors are those of Redis 8.0.2.

mod common;

use common::{RawClient, TestServer, run_words, wait_for};
use redis::Connection;

/// The source of a library called `lib`.
fn lib(body: &str) -> String {
    format!("#!lua name=lib\n{body}")
}

/// Loads the library `lib`, in place of the one there is.
fn load(c: &mut Connection, body: &str) -> String {
    run_words(c, &["FUNCTION", "LOAD", "REPLACE", &lib(body)])
}

/// Loads a library with one function `f` of this body.
fn load_function(c: &mut Connection, body: &str) {
    let source = format!("redis.register_function('f', function(keys, args) {body} end)");
    assert_eq!(load(c, &source), "lib", "{body}");
}

#[test]
fn functions_are_loaded_called_listed_and_removed() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    assert_eq!(run_words(c, &["FUNCTION", "LIST"]), "[]");
    assert_eq!(run_words(c, &["FCALL", "f", "0"]), "-ERR Function not found");
    load_function(c, "return {keys, args, #keys, #args}");
    assert_eq!(run_words(c, &["FCALL", "f", "1", "a", "b", "c"]), "[[a],[b,c],1,2]");
    assert_eq!(run_words(c, &["FCALL", "F", "0", "b"]), "[[],[b],0,1]");
    let again = run_words(c, &["FUNCTION", "LOAD", &lib("redis.register_function('g', function() end)")]);
    assert_eq!(again, "-ERR Library 'lib' already exists");
    let second = "#!lua name=second\nredis.register_function{function_name='g', description='does it', \
                  callback=function() return 2 end, flags={'allow-stale', 'no-writes'}}";
    assert_eq!(run_words(c, &["FUNCTION", "LOAD", second]), "second");
    let f = "[library_name,lib,engine,LUA,functions,[[name,f,description,nil,flags,[]]]]";
    let g = "library_name,second,engine,LUA,functions,\
             [[name,g,description,does it,flags,[no-writes,allow-stale]]]";
    assert_eq!(run_words(c, &["FUNCTION", "LIST"]), format!("[{f},[{g}]]"));
    assert_eq!(
        run_words(c, &["FUNCTION", "LIST", "LIBRARYNAME", "S*", "WITHCODE"]),
        format!("[[{g},library_code,{second}]]")
    );
    assert_eq!(
        run_words(c, &["FUNCTION", "STATS"]),
        "[running_script,nil,engines,[LUA,[libraries_count,2,functions_count,2]]]"
    );
    assert_eq!(run_words(c, &["FCALL_RO", "g", "0"]), "2");
    assert_eq!(run_words(c, &["FUNCTION", "DELETE", "LIB"]), "-ERR Library not found");
    assert_eq!(run_words(c, &["FUNCTION", "DELETE", "lib"]), "OK");
    assert_eq!(run_words(c, &["FCALL", "f", "0"]), "-ERR Function not found");
    assert_eq!(run_words(c, &["FUNCTION", "FLUSH"]), "OK");
    assert_eq!(run_words(c, &["FUNCTION", "LIST"]), "[]");
}

#[test]
fn arguments_are_checked() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    load_function(c, "return 1");
    for (line, error) in [
        ("FUNCTION LOAD", "ERR wrong number of arguments for 'function|load' command"),
        ("FUNCTION LOAD a b", "ERR Unknown option given: a"),
        ("FUNCTION LOAD REPLACE", "ERR Missing library metadata"),
        ("FUNCTION LOAD #!lua", "ERR Invalid library metadata"),
        ("FUNCTION FLUSH x", "ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
        (
            "FUNCTION FLUSH SYNC x",
            "ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP.",
        ),
        ("FUNCTION x", "ERR unknown subcommand 'x'. Try FUNCTION HELP."),
        ("FUNCTION LIST x", "ERR Unknown argument x"),
        ("FUNCTION LIST LIBRARYNAME", "ERR library name argument was not given"),
        ("FUNCTION LIST WITHCODE WITHCODE", "ERR Unknown argument WITHCODE"),
        ("FUNCTION LIST LIBRARYNAME a LIBRARYNAME b", "ERR Unknown argument LIBRARYNAME"),
        ("FUNCTION RESTORE x", "ERR DUMP payload version or checksum are wrong"),
        (
            "FUNCTION RESTORE x y",
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
        ),
        (
            "FUNCTION RESTORE x y z",
            "ERR unknown subcommand or wrong number of arguments for 'RESTORE'. Try FUNCTION HELP.",
        ),
        ("FUNCTION KILL", "NOTBUSY No scripts in execution right now."),
        ("FCALL f x", "ERR Bad number of keys provided"),
        ("FCALL f 01", "ERR Bad number of keys provided"),
        ("FCALL f -1", "ERR Number of keys can't be negative"),
        ("FCALL f 2 a", "ERR Number of keys can't be greater than number of args"),
        ("FCALL nosuch x", "ERR Function not found"),
        ("FCALL_RO f 0", "ERR Can not execute a script with write flag using *_ro command."),
    ] {
        assert_eq!(run_words(c, &line.split(' ').collect::<Vec<_>>()), format!("-{error}"), "{line}");
    }
    assert_eq!(run_words(c, &["COMMAND", "GETKEYS", "FCALL", "f", "2", "a", "b", "c"]), "[a,b]");
    assert_eq!(run_words(c, &["COMMAND", "GETKEYS", "FCALL_RO", "f", "0", "a"]), "[]");
    assert_eq!(run_words(c, &["COMMAND", "GETKEYSANDFLAGS", "FCALL_RO", "f", "1", "a"]), "[[a,[RO,access]]]");
}

/// What a source may and may not do while it is loaded; a refused one leaves the library there is.
#[test]
fn sources_register_functions_and_nothing_else() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    load_function(c, "return 'old'");
    let registering = "Error registering functions: ERR ";
    let missing = "user_function:2: Script attempted to access nonexistent global variable";
    let read_only = "user_function:2: Attempt to modify a readonly table";
    let bad_name = "Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                    character long";
    let named = |what: &str| format!("redis.register_function{{{what}}}");
    for (body, error) in [
        ("", "No functions registered"),
        ("bad script", "Error compiling function: user_function:2: '=' expected near 'script'"),
        ("\u{1b}Lua", "Error compiling function: user_function:2: unexpected symbol near 'char(27)'"),
        ("x = 1", &format!("{registering}{read_only}")),
        ("redis.x = 1", &format!("{registering}{read_only}")),
        ("redis = 1", &format!("{registering}{read_only}")),
        ("return x", &format!("{registering}{missing} 'x'")),
        ("return _G", &format!("{registering}{missing} '_G'")),
        ("math.random()", &format!("{registering}{missing} 'math'")),
        ("error('boom')", &format!("{registering}{missing} 'error'")),
        ("redis.call('PING')", &format!("{registering}{missing} 'call'")),
        ("redis.setresp(3)", &format!("{registering}{missing} 'setresp'")),
        ("local x; x()", &format!("{registering}user_function:2: attempt to call local 'x' (a nil value)")),
        (
            "local function f() return 1 + f() end f()",
            &format!("{registering}user_function:2: stack overflow"),
        ),
        ("while true do end", &format!("{registering}FUNCTION LOAD timeout")),
        ("redis.log()", &format!("{registering}redis.log() requires two arguments or more.")),
        (
            "redis.register_function()",
            &format!("{registering}wrong number of arguments to redis.register_function"),
        ),
        (
            "redis.register_function('a', function() end, {})",
            &format!("{registering}wrong number of arguments to redis.register_function"),
        ),
        (
            "redis.register_function('a')",
            &format!(
                "{registering}calling redis.register_function with a single argument is only applicable to Lua \
                 table (representing named arguments)."
            ),
        ),
        (
            "redis.register_function(nil, function() end)",
            &format!("{registering}first argument to redis.register_function must be a string"),
        ),
        (
            "redis.register_function('a', 1)",
            &format!("{registering}second argument to redis.register_function must be a function"),
        ),
        ("redis.register_function('a b', function() end)", &format!("{registering}{bad_name}")),
        ("redis.register_function('', function() end)", &format!("{registering}{bad_name}")),
        ("redis.register_function('a\\0', function() end)", &format!("{registering}{bad_name}")),
        (
            "for i = 1, 2 do redis.register_function('a', function() end) end",
            &format!("{registering}Function already exists in the library"),
        ),
        (&named(""), &format!("{registering}redis.register_function must get a function name argument")),
        (
            &named("function_name='a'"),
            &format!("{registering}redis.register_function must get a callback argument"),
        ),
        (
            &named("function_name={}, callback=redis.log"),
            &format!("{registering}function_name argument given to redis.register_function must be a string"),
        ),
        (
            &named("function_name='a', callback=1"),
            &format!("{registering}callback argument given to redis.register_function must be a function"),
        ),
        (
            &named("description={}"),
            &format!("{registering}description argument given to redis.register_function must be a string"),
        ),
        (&named("x=1"), &format!("{registering}unknown argument given to redis.register_function")),
        (&named("'a'"), &format!("{registering}unknown argument given to redis.register_function")),
        (
            &named("[{}]=1"),
            &format!("{registering}named argument key given to redis.register_function is not a string"),
        ),
        (
            &named("flags=1"),
            &format!(
                "{registering}flags argument to redis.register_function must be a table representing function flags"
            ),
        ),
        (&named("flags={1}"), &format!("{registering}unknown flag given")),
        (&named("flags={{}}"), &format!("{registering}unknown flag given")),
        (&named("flags={'no-writes', 'eval_compat'}"), &format!("{registering}unknown flag given")),
    ] {
        assert_eq!(load(c, body), format!("-ERR {error}"), "{body}");
        assert_eq!(run_words(c, &["FCALL", "f", "0"]), "old", "{body}");
    }
    for (body, reply) in [
        ("redis.register_function('f', function() return redis.REDIS_VERSION end)", "8.0.2"),
        ("local v = redis.REDIS_VERSION_NUM redis.register_function('f', function() return v end)", "524290"),
        ("redis.register_function{function_name='f', callback=function() return 7 end}", "7"),
        ("redis.register_function{FUNCTION_NAME='F', Callback=function() return 8 end, flags={}}", "8"),
        ("redis.register_function('f', function() return redis.register_function end)", "nil"),
    ] {
        assert_eq!(
            (load(c, body).as_str(), run_words(c, &["FCALL", "f", "0"]).as_str()),
            ("lib", reply),
            "{body}"
        );
    }
}

#[test]
fn a_function_that_kept_what_it_was_loaded_with_cannot_use_it() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    let body = "local lib = redis
        lib.register_function('f1', function() lib.redis = redis end)
        lib.register_function('f2', function() lib.register_function('f3', function() end) end)
        lib.register_function('f4', function() return lib.call end)";
    assert_eq!(load(c, body), "lib");
    for (function, error) in [
        ("f1", "user_function:3: Attempt to modify a readonly table"),
        ("f2", "redis.register_function can only be called on FUNCTION LOAD command"),
        ("f4", "user_function:5: Script attempted to access nonexistent global variable 'call'"),
    ] {
        let reply = run_words(c, &["FCALL", function, "0"]);
        assert!(
            reply.starts_with(&format!("-ERR {error} script: {function}, on @user_function:")),
            "{reply}"
        );
    }
    assert_eq!(run_words(c, &["FCALL", "f3", "0"]), "-ERR Function not found");
}

#[test]
fn replies_and_errors_are_converted() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    for (body, reply) in [
        ("return nil", "nil"),
        ("return true", "1"),
        ("return 1.9", "1"),
        ("return {1, 2, nil, 4}", "[1,2]"),
        ("return {ok='fine'}", "fine"),
        ("return redis.status_reply('x')", "x"),
        ("return {err='MY bad'}", "-MY bad"),
        ("return redis.error_reply('x')", "-ERR x"),
        ("return redis.pcall('nosuch')", "-ERR Unknown Redis command called from script"),
        ("redis.call('SET', keys[1], args[1]) return redis.call('INCR', keys[1])", "6"),
        ("error('boom')", "-ERR user_function:2: boom script: f, on @user_function:2."),
        ("error({err='MY boom'})", "-MY boom script: f, on @user_function:2."),
        (
            "return redis.call('FCALL', 'f', 0)",
            "-ERR This Redis command is not allowed from script script: f, on @user_function:2.",
        ),
        (
            "return KEYS",
            "-ERR user_function:2: Script attempted to access nonexistent global variable 'KEYS' \
             script: f, on @user_function:2.",
        ),
        ("x = 1", "-ERR user_function:2: Attempt to modify a readonly table script: f, on @user_function:2."),
        ("return type(rawget(_G, 'redis'))", "table"),
        ("return type(cjson) .. type(cmsgpack) .. type(struct) .. type(bit)", "tabletabletabletable"),
        ("return redis.breakpoint", "nil"),
    ] {
        load_function(c, body);
        assert_eq!(run_words(c, &["FCALL", "f", "1", "key", "5"]), reply, "{body}");
    }
}

/// Loads a function `f` with flags.
fn load_flagged(c: &mut Connection, body: &str, flags: &str) {
    let source = format!(
        "redis.register_function{{function_name='f', callback=function(keys, args) {body} end, flags={{{flags}}}}}"
    );
    assert_eq!(load(c, &source), "lib");
}

#[test]
fn flags_say_what_a_function_may_do() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    assert_eq!(run_words(c, &["SET", "x", "1"]), "OK");
    let refused = "-ERR Write commands are not allowed from read-only scripts.";
    load_flagged(c, "return redis.pcall('SET', 'x', 2)", "'no-writes'");
    assert_eq!(run_words(c, &["FCALL", "f", "1", "x"]), refused);
    assert_eq!(run_words(c, &["FCALL_RO", "f", "1", "x"]), refused);
    load_flagged(c, "return redis.call('GET', 'x')", "'no-writes'");
    assert_eq!(run_words(c, &["FCALL_RO", "f", "1", "x"]), "1");

    assert_eq!(run_words(c, &["CONFIG", "SET", "maxmemory", "1"]), "OK");
    assert_eq!(run_words(c, &["FCALL", "f", "1", "x"]), "1");
    let out_of_memory = "-OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(load(c, "redis.register_function('f', function() end)"), out_of_memory);
    assert_eq!(run_words(c, &["CONFIG", "SET", "maxmemory", "0"]), "OK");
    load_function(c, "return redis.call('SET', 'x', 3)");
    assert_eq!(run_words(c, &["CONFIG", "SET", "maxmemory", "1"]), "OK");
    assert!(run_words(c, &["FCALL", "f", "1", "x"]).starts_with("-OOM "));
    assert_eq!(run_words(c, &["CONFIG", "SET", "maxmemory", "0"]), "OK");
    load_flagged(c, "return redis.call('SET', 'x', 4)", "'allow-oom'");
    assert_eq!(run_words(c, &["CONFIG", "SET", "maxmemory", "1"]), "OK");
    assert_eq!(run_words(c, &["FCALL", "f", "1", "x"]), "OK");
    assert_eq!(run_words(c, &["GET", "x"]), "4");
}

/// Begins a call of `f` that does not end, and waits until another client is told `busy`.
fn run_for_too_long(server: &TestServer, c: &mut Connection, words: &[&str], busy: &str) -> RawClient {
    let mut runner = server.raw();
    runner.command(words);
    wait_for("a busy server", || run_words(c, &["PING"]) == busy);
    runner
}

const BUSY_FUNCTION: &str =
    "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
const BUSY_SCRIPT: &str =
    "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";

#[test]
fn a_function_that_runs_for_too_long_is_killed_as_a_function() {
    let server = TestServer::start(&["--busy-reply-threshold", "10"]);
    let c = &mut server.client(false);
    load_function(c, "while true do end");
    let mut runner = run_for_too_long(&server, c, &["FCALL", "f", "1", "key", "arg"], BUSY_FUNCTION);
    assert_eq!(run_words(c, &["SCRIPT", "KILL"]), BUSY_FUNCTION);
    assert_eq!(run_words(c, &["FUNCTION", "LIST"]), BUSY_FUNCTION);
    let stats = run_words(c, &["FUNCTION", "STATS"]);
    let (before, behind) = stats.split_once("duration_ms,").unwrap();
    assert_eq!(before, "[running_script,[name,f,command,[FCALL,f,1,key,arg],");
    let (duration_ms, behind) = behind.split_once(']').unwrap();
    assert!(duration_ms.parse::<u64>().unwrap() >= 10, "{stats}");
    assert_eq!(behind, ",engines,[LUA,[libraries_count,1,functions_count,1]]]");
    assert_eq!(run_words(c, &["FUNCTION", "KILL"]), "OK");
    assert_eq!(
        runner.line(),
        "-ERR Script killed by user with SCRIPT KILL... script: f, on @user_function:2."
    );
    wait_for("the end", || run_words(c, &["PING"]) == "PONG");
}

#[test]
fn scripts_and_functions_are_not_killed_for_each_other() {
    let server = TestServer::start(&["--busy-reply-threshold", "10"]);
    let c = &mut server.client(false);
    let _runner = run_for_too_long(&server, c, &["EVAL", "while true do end", "0"], BUSY_SCRIPT);
    assert_eq!(run_words(c, &["FUNCTION", "KILL"]), BUSY_SCRIPT);
    assert_eq!(run_words(c, &["FUNCTION", "STATS"]), BUSY_SCRIPT);
    assert_eq!(run_words(c, &["SCRIPT", "KILL"]), "OK");
    wait_for("the end", || run_words(c, &["PING"]) == "PONG");
}

#[test]
fn a_function_that_has_written_is_not_killed() {
    let mut server = TestServer::start(&["--busy-reply-threshold", "10"]);
    let c = &mut server.client(false);
    load_function(c, "redis.call('SET', keys[1], 1) while true do end");
    let _runner = run_for_too_long(&server, c, &["FCALL", "f", "1", "key"], BUSY_FUNCTION);
    assert_eq!(
        run_words(c, &["FUNCTION", "KILL"]),
        "-UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
         script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
    );
    server.raw().command(&["SHUTDOWN", "NOSAVE"]);
    assert_eq!(server.wait(), Some(0));
}

/// The words of each subcommand are upstream's; what is said of them is our own.
/// The lines of HELP with their commands, and how many lines each has to say.
#[test]
fn help_has_upstreams_shape() {
    let server = TestServer::start(&[]);
    let mut client = server.raw();
    let mut shape = |command: &str| {
        let header = client.ask(&[command, "HELP"]);
        let lines: usize = header.strip_prefix('*').unwrap().parse().unwrap();
        let mut shape = Vec::new();
        for _ in 0..lines {
            let line = client.reply();
            let line = line.strip_prefix('+').unwrap();
            match line.starts_with("    ") {
                true => *shape.last_mut().unwrap() += if line.starts_with("    * ") { "*" } else { "-" },
                false => shape.push(format!("{line} ")),
            }
        }
        shape
    };
    assert_eq!(
        shape("SCRIPT"),
        [
            "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are: ",
            "DEBUG (YES|SYNC|NO) -",
            "EXISTS <sha1> [<sha1> ...] -",
            "FLUSH [ASYNC|SYNC] ---**",
            "KILL -",
            "LOAD <script> -",
            "HELP -",
        ]
    );
    assert_eq!(
        shape("FUNCTION"),
        [
            "FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are: ",
            "LOAD [REPLACE] <FUNCTION CODE> -",
            "DELETE <LIBRARY NAME> -",
            "LIST [LIBRARYNAME PATTERN] [WITHCODE] -****-",
            "STATS -***--",
            "KILL -",
            "FLUSH [ASYNC|SYNC] ---**",
            "DUMP -",
            "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE] --***--",
            "HELP -",
        ]
    );
}

/// Bytes of a reply.
fn dump(c: &mut Connection) -> Vec<u8> {
    redis::cmd("FUNCTION").arg("DUMP").query(c).unwrap()
}

/// Restores a payload and tells how that went.
fn restore(c: &mut Connection, payload: &[u8], policy: &[&str]) -> String {
    let mut command = redis::cmd("FUNCTION");
    let reply: redis::RedisResult<String> = command.arg("RESTORE").arg(payload).arg(policy).query(c);
    reply.unwrap_or_else(|e| format!("-{} {}", e.code().unwrap_or_default(), e.detail().unwrap_or_default()))
}

/// A source: its library's name, and functions that each return a value.
fn source(name: &str, functions: &[(&str, &str)]) -> String {
    let register = |(name, value): &(&str, &str)| {
        format!("redis.register_function('{name}', function() return '{value}' end)\n")
    };
    format!("#!lua name={name}\n{}", functions.iter().map(register).collect::<String>())
}

#[test]
fn payloads_are_restored_whole_or_not_at_all() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    for source in [source("one", &[("f", "old"), ("g", "old")]), source("two", &[("h", "old")])] {
        run_words(c, &["FUNCTION", "LOAD", &source]);
    }
    let payload = dump(c);
    let call = |c: &mut Connection, names: &str| {
        let call = |name| run_words(c, &["FCALL", name, "0"]);
        names.split(' ').map(call).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(restore(c, &payload, &[]), "-ERR Library one already exists");
    assert_eq!(restore(c, &payload, &["APPEND"]), "-ERR Library one already exists");
    // Replaced, removed, added.
    run_words(c, &["FUNCTION", "LOAD", "REPLACE", &source("one", &[("f", "new"), ("i", "new")])]);
    assert_eq!(restore(c, &payload, &["replace"]), "OK");
    assert_eq!(call(c, "f g h"), "old old old");
    assert_eq!(call(c, "i"), "-ERR Function not found");
    run_words(c, &["FUNCTION", "FLUSH"]);
    assert_eq!(restore(c, &payload, &["APPEND"]), "OK");
    assert_eq!(call(c, "f g h"), "old old old");
    // A function of another library is in the way.
    run_words(c, &["FUNCTION", "DELETE", "one"]);
    run_words(c, &["FUNCTION", "LOAD", &source("three", &[("G", "new")])]);
    assert_eq!(restore(c, &payload, &["REPLACE"]), "-ERR Function g already exists");
    assert_eq!(call(c, "g h"), "new old");
    assert_eq!(restore(c, &payload, &["FLUSH"]), "OK");
    assert_eq!(call(c, "f g h"), "old old old");
    assert_eq!(server.info("number_of_libraries"), 2.0);
    assert_eq!(server.info("number_of_functions"), 3.0);
}

#[test]
fn damaged_payloads_are_refused() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    let loaded = run_words(c, &["FUNCTION", "LOAD", &source("one", &[("f", "old")])]);
    assert_eq!(loaded, "one");
    let payload = dump(c);
    let damaged = "-ERR DUMP payload version or checksum are wrong";
    for at in 0..payload.len() {
        let mut changed = payload.clone();
        changed[at] ^= 0x10;
        assert_eq!(restore(c, &changed, &["REPLACE"]), damaged, "at {at}");
        assert_eq!(restore(c, &payload[..at], &["REPLACE"]), damaged, "cut at {at}");
    }
    run_words(c, &["SET", "key", "value"]);
    let key: Vec<u8> = redis::cmd("DUMP").arg("key").query(c).unwrap();
    assert_eq!(restore(c, &key, &["FLUSH"]), "-ERR given type is not a function");
    assert_eq!(run_words(c, &["FCALL", "f", "0"]), "old");
}

/// What Redis 8.0.2 answers to FUNCTION DUMP: one library, whose source is compressed.
const PAYLOAD_8_0: &[u8] = b"\xf5\xc3@s@\x96\x1f#!lua name=math_lib\n-- adds numb\x03ers \xe0\x16\x0f\x19\n\
redis.register_function(' E\x02', \xe0\x00\x0f\x11keys, args) return`\x0c\x04[1] +\x80\t\x072] end)\n\
\x0c\x00\xa8f\x14\xad\xef\xca3S";

#[test]
fn a_payload_of_redis_is_restored() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    assert_eq!(restore(c, PAYLOAD_8_0, &[]), "OK");
    assert_eq!(run_words(c, &["FCALL", "add", "0", "20", "22"]), "42");
}

#[test]
fn a_flush_of_many_libraries_is_done_in_the_background() {
    let server = TestServer::start(&[]);
    let c = &mut server.client(false);
    for i in 0..200 {
        let name = format!("lib{i}");
        let loaded = run_words(c, &["FUNCTION", "LOAD", &source(&name, &[(&name, "x")])]);
        assert_eq!(loaded, name);
    }
    let full = server.info("used_memory_vm_functions");
    assert_eq!(run_words(c, &["FUNCTION", "FLUSH", "ASYNC"]), "OK");
    assert!(server.info("used_memory_vm_functions") < full / 2.0);
    wait_for("the thread", || server.info("lazyfreed_objects") == 201.0);
    load_function(c, "return 'new'");
    assert_eq!(run_words(c, &["FCALL", "f", "0"]), "new");
}
