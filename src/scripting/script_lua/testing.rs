//! Runs the cases of the libraries in a state that has nothing but Lua's own libraries and ours.
//!
//! A case is a line of a file in `testdata/`: an expression, a tabulator, and its results as upstream wrote them down, escaped as
//! [`slice::escape_ascii`] does. What expressions have at hand is `testdata/show.lua`. Cases run in order in one state, because
//! some change the configuration that later ones are about.

use mlua_sys::*;

use super::boundary::{push_bytes, to_bytes};
use super::{Engine, bit, cjson, cmsgpack, lua_struct};

/// A state with all libraries.
pub fn engine() -> Engine {
    let engine = Engine::new();
    let l = engine.state();
    type Open = unsafe fn(*mut lua_State);
    let ours: [(&str, Open); 4] = [
        ("cjson", cjson::open),
        ("cmsgpack", cmsgpack::open),
        ("struct", lua_struct::open),
        ("bit", bit::open),
    ];
    // SAFETY: the state is new, and no limit of memory is in force.
    unsafe {
        // Without guards: the cases change what scripts cannot.
        lua_createtable(l, 0, 0);
        lua_setfield(l, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
        lua_createtable(l, 0, 0);
        lua_replace(l, LUA_GLOBALSINDEX);
        luaL_openlibs(l);
        for (name, open) in ours {
            push_bytes(l, name.as_bytes());
            open(l);
            lua_rawset(l, LUA_GLOBALSINDEX);
        }
        assert_eq!(lua_gettop(l), 0);
    }
    engine
}

/// Runs a chunk, and returns the string it returns or raises.
pub fn run(engine: &Engine, chunk: &[u8]) -> Vec<u8> {
    let l = engine.state();
    // SAFETY: the chunk runs in protected mode, and nothing of ours that has a destructor is below it.
    unsafe {
        let status = luaL_loadbuffer(l, chunk.as_ptr().cast(), chunk.len(), c"@user_script".as_ptr());
        if status == LUA_OK {
            lua_pcall(l, 0, 1, 0);
        }
        let result = to_bytes(l, -1).unwrap_or(b"no string").to_vec();
        lua_settop(l, 0);
        result
    }
}

/// Checks all cases of a file.
#[track_caller]
pub fn check(cases: &str) {
    let engine = engine();
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases.lines() {
        let (expression, expected) = case.split_once('\t').expect("a tabulator");
        let chunk = [
            include_str!("testdata/show.lua"),
            "\nreturn show(pcall(function() return ",
            expression,
            " end))",
        ];
        let result = run(&engine, chunk.concat().as_bytes()).escape_ascii().to_string();
        if result != expected {
            wrong.push(format!("{expression}\n  expected {expected}\n  found    {result}"));
        }
        count += 1;
    }
    assert!(count > 100, "only {count} cases");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}
