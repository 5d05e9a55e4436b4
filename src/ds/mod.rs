//! Data structures: pure, no I/O, no server types.

pub mod glob;
pub mod longdouble;
pub mod numbers;
pub mod sds;
