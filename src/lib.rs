//! Ochre: redis-server, written again in Rust. See `docs/ARCHITECTURE.md` for a map of the house.
//!
//! The library holds all of it; the programs in `src/bin` parse their arguments and call it.

pub mod db;
pub mod ds;
pub mod io;
pub mod persistence;
pub mod redis_cli;
pub mod scripting;
pub mod server;
pub mod types;
pub mod zmalloc;
