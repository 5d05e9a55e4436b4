//! Scripts: Lua programs that clients send, and that run commands as clients do.
//!
//! - `script.rs` is what all scripts have in common: the checks before one runs, its commands, its end, and what happens when
//!   it takes too long.
//! - `script_lua/` is Lua: the states, the sandbox, the API that scripts see, the conversion of replies. All unsafe code of
//!   this folder is there, behind the boundary that `script_lua/boundary.rs` describes.

pub mod script;
pub mod script_lua;
