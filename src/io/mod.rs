//! What touches the operating system: the event loop, sockets, clocks, background threads.

pub mod ae;
pub mod anet;
pub mod bio;
pub mod connection;
pub mod monotonic;
