//! Who we are, and whom we stand in for.

/// The version of Redis whose behaviour this is.
pub const REDIS_VERSION: &str = "8.0.2";
/// [`REDIS_VERSION`] as a number, a byte a part: what modules and scripts compare.
pub const REDIS_VERSION_NUM: u32 = 0x0008_0002;
/// Our own version.
pub const OCHRE_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Width of a pointer, as INFO's `arch_bits` has it.
pub const ARCH_BITS: usize = usize::BITS as usize;
