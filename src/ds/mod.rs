//! Data structures: pure, no I/O, no server types.

pub mod glob;
pub mod hashtable;
pub mod longdouble;
pub mod numbers;
pub mod sds;
pub mod siphash;
