//! Ochre: redis-server, written again in Rust.
pub mod ds;
pub mod io;
pub mod zmalloc;
