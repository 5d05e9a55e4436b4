//! Ochre: redis-server, written again in Rust.
pub mod ds;
