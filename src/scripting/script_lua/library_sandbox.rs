//! The libraries in a state of their own, with Lua's libraries and without a server: for tests and fuzzing. Lua's functions of
//! patterns are there as Lua has them, and ours beside them in a table `strpattern`.

use mlua_sys::*;

use super::alloc::{self, Host};
use super::boundary::{push_bytes, to_bytes};
use super::{bit, cjson, cmsgpack, lua_strpattern, lua_struct};

/// A Lua state with `cjson`, `cmsgpack`, `struct`, `bit`, and all that Lua itself brings. Nothing in it is read-only.
#[derive(Debug)]
pub struct Sandbox {
    l: *mut lua_State,
    host: *const Host,
}

impl Default for Sandbox {
    fn default() -> Sandbox {
        Sandbox::new()
    }
}

impl Sandbox {
    /// A new state.
    pub fn new() -> Sandbox {
        type Open = unsafe fn(*mut lua_State);
        const OURS: [(&str, Open); 4] = [
            ("cjson", cjson::open),
            ("cmsgpack", cmsgpack::open),
            ("struct", lua_struct::open),
            ("bit", bit::open),
        ];
        let host = Host::leak();
        // SAFETY: `allocate` is an allocator as Lua wants it, the host outlives the state, and no limit of memory is in force.
        let l = unsafe { lua_newstate(alloc::allocate, host.cast_mut().cast()) };
        assert!(!l.is_null(), "memory is refused to running scripts only");
        // SAFETY: the state is new.
        unsafe {
            luaL_openlibs(l);
            for (name, open) in OURS {
                push_bytes(l, name.as_bytes());
                open(l);
                lua_rawset(l, LUA_GLOBALSINDEX);
            }
            push_bytes(l, b"strpattern");
            lua_createtable(l, 0, 5);
            lua_strpattern::open(l);
            lua_rawset(l, LUA_GLOBALSINDEX);
            lua_settop(l, 0);
        }
        Sandbox { l, host }
    }

    /// Runs a chunk with one argument, and returns the string that it returns or raises.
    pub fn run(&self, chunk: &str, argument: &[u8]) -> Vec<u8> {
        let l = self.l;
        // SAFETY: the chunk runs in protected mode, and nothing of ours that has a destructor is below it.
        unsafe {
            let status = luaL_loadbuffer(l, chunk.as_ptr().cast(), chunk.len(), c"@user_script".as_ptr());
            if status == LUA_OK {
                push_bytes(l, argument);
                lua_pcall(l, 1, 1, 0);
            }
            let result = to_bytes(l, -1).unwrap_or(b"no string").to_vec();
            lua_settop(l, 0);
            result
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // SAFETY: the state is this sandbox's own, and nothing runs in it; nobody else knows the host.
        unsafe {
            lua_close(self.l);
            Host::free(self.host);
        }
    }
}
