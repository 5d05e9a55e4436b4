//! Scripts whose replies were looked up at Redis 8.0.2.
//!
//! A case is a line of a file in `testdata/`: how the script is called, the script, and the reply, with tabulators in between. Script
//! and reply are escaped as [`slice::escape_ascii`] does. `2` and `3` stand for EVAL by a client of that protocol, `f` for FCALL
//! of a function with this body.

use crate::server::testing::Bench;
use crate::server::{Argv, dispatch};

/// What scripts may call, misused.
#[test]
fn misuse_is_answered_as_upstream_answers_it() {
    check(include_str!("testdata/redis_api.txt"), "");
}

/// Whatever can be done with a value, done with the globals, libraries, metatables and environments.
#[test]
fn what_is_read_only_looks_as_it_does_upstream() {
    // In one line, so that errors tell the line upstream told.
    check(include_str!("testdata/readonly.txt"), &include_str!("testdata/look.lua").replace('\n', " "));
}

/// Lua here writes and reads whole numbers itself; `string.format` has the C library write them, and what has a point is for
/// `strtod`.
#[test]
fn numbers_become_the_text_that_sprintf_makes_and_come_back() {
    let script =
        b"local numbers = {0, -1 / math.huge, math.huge, -math.huge, 0 / 0, 0.5, -1.5, 99999999999999.5}
        for power = 0, 20 do
          for _, base in ipairs {2, 10} do
            for _, more in ipairs {-1, 0, 1} do
              numbers[#numbers + 1] = base ^ (power * base) + more
              numbers[#numbers + 1] = 10 ^ power + more
              numbers[#numbers + 1] = -(10 ^ power + more)
            end
          end
        end
        for _, number in ipairs(numbers) do
          local text = string.format('%.14g', number)
          if tostring(number) ~= text then return tostring(number) .. ' instead of ' .. text end
          for _, read in ipairs {text, '00' .. text, '-' .. text, ' ' .. text, text .. '000'} do
            if read:find('^ ?%-?%d+$') then
              local whole, point = tonumber(read), tonumber(read .. '.0')
              if whole ~= point or 1 / whole ~= 1 / point then return read end
            end
          end
        end
        for _, text in ipairs {'', '-', '--1', '1-', '+', '1 2', '1a', '0x', '0x10', '1e', '1e2', '+5', '5.'} do
          numbers[#numbers + 1] = text .. '=' .. tostring(tonumber(text))
        end
        return table.concat(numbers, ' ', 387)";
    let reply = call(&mut Bench::new(), "2", script);
    let texts = "=nil -=nil --1=nil 1-=nil +=nil 1 2=nil 1a=nil 0x=nil 0x10=16 1e=nil 1e2=100 +5=5 5.=5";
    assert_eq!(String::from_utf8_lossy(&reply), format!("${}\r\n{texts}\r\n", texts.len()));
}

/// Checks all cases of a file, with `prelude` in front of each script.
#[track_caller]
fn check(cases: &str, prelude: &str) {
    let mut bench = Bench::new();
    let (mut count, mut wrong) = (0, Vec::new());
    for case in cases.lines() {
        let [way, script, expected] = case.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three fields: {case}")
        };
        bench.run("FLUSHALL");
        let reply = call(&mut bench, way, &[prelude.as_bytes(), &unescaped(script)].concat());
        let reply = reply.escape_ascii().to_string();
        if reply != expected {
            wrong.push(format!("{way} {script}\n  expected {expected}\n  found    {reply}"));
        }
        count += 1;
    }
    assert!(count > 300, "only {count} cases");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Calls a script with a key and an argument.
fn call(bench: &mut Bench, way: &str, script: &[u8]) -> Vec<u8> {
    if way != "f" {
        bench.client.out.set_resp3(way == "3");
        return run(bench, &[b"EVAL", script, b"1", b"k", b"a1"]);
    }
    bench.client.out.set_resp3(false);
    let source: [&[u8]; 3] =
        [b"#!lua name=l\nredis.register_function('f', function(KEYS, ARGV) ", script, b"\nend)"];
    let loaded = run(bench, &[b"FUNCTION", b"LOAD", b"REPLACE", &source.concat()]);
    if loaded.starts_with(b"-") { loaded } else { run(bench, &[b"FCALL", b"f", b"1", b"k", b"a1"]) }
}

fn run(bench: &mut Bench, words: &[&[u8]]) -> Vec<u8> {
    bench.client.argv = Argv::from_args(words);
    let spec = bench.srv.commands.lookup(words[0]);
    dispatch::process_command(&mut bench.srv, &mut bench.client, spec);
    bench.client.out.take_bytes()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        bytes.push(match b {
            b'\\' => match rest.next().expect("an escaped byte") {
                b't' => b'\t',
                b'n' => b'\n',
                b'r' => b'\r',
                b'x' => {
                    let mut digit = || char::from(rest.next().unwrap()).to_digit(16).unwrap() as u8;
                    digit() << 4 | digit()
                }
                itself => itself,
            },
            plain => plain,
        });
    }
    bytes
}
