//! Lua as the scripts' language: states, the sandbox, the API, the conversion of values.
//!
//! - `boundary.rs` says how Lua functions are written in Rust without a Lua error ever jumping over a destructor. Whoever adds
//!   one reads it first.
//! - `alloc.rs` counts and bounds the memory of a state.
//! - `cjson/`, `cmsgpack/`, `lua_struct/` and `bit.rs` are the libraries that scripts find beside Lua's own, in two layers each: the
//!   format, which knows no Lua, and the functions. `output.rs` bounds what they write.

pub mod alloc;
pub mod bit;
pub mod boundary;
pub mod cjson;
pub mod cmsgpack;
pub mod lua_struct;
mod output;
#[cfg(test)]
mod testing;

use mlua_sys::{lua_State, lua_close, lua_newstate};

use alloc::Host;

/// A Lua state and what belongs to it.
#[derive(Debug)]
pub struct Engine {
    l: *mut lua_State,
    /// Behind a pointer of its own: the state refers to it.
    host: Box<Host>,
}

// SAFETY: a state is bound to no thread, only to one at a time, which ownership ensures.
unsafe impl Send for Engine {}

impl Engine {
    /// A state with nothing in it.
    #[allow(clippy::new_without_default)] // a default suggests a cheap, empty value, and this is neither
    pub fn new() -> Engine {
        let host = Box::new(Host::default());
        let ud = (&raw const *host).cast_mut().cast();
        // SAFETY: `allocate` is an allocator as Lua wants it, and the host outlives the state.
        let l = unsafe { lua_newstate(alloc::allocate, ud) };
        assert!(!l.is_null(), "memory is refused to running scripts only");
        Engine { l, host }
    }

    /// The state, which lives as long as the engine.
    pub fn state(&self) -> *mut lua_State {
        self.l
    }

    /// Bytes that the state holds.
    pub fn used_memory(&self) -> usize {
        self.host.used()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: the state is this engine's own, and no Lua code runs while its engine is dropped.
        unsafe { lua_close(self.l) }
    }
}
