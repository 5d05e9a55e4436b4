//! Data structures: pure, no I/O, no server types.
