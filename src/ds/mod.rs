//! Data structures: pure, no I/O, no server types.

pub mod bits;
mod blob;
pub mod crc64;
pub mod deadlines;
pub mod geohash;
pub mod glob;
pub mod hashtable;
pub mod hyperloglog;
pub mod intset;
pub mod listpack;
pub mod longdouble;
pub mod lzf;
pub mod member;
pub mod numbers;
pub mod pqsort;
pub mod quicklist;
pub mod rax;
pub mod sds;
pub mod siphash;
pub mod sorted_index;
pub mod ziplist;
pub mod zipmap;
