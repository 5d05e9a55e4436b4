//! What the allocator knows: its statistics, its controls, its report.
//!
//! jemalloc is asked through `mallctl`, whose names are described in its manual
//! (<https://jemalloc.net/jemalloc.3.html#mallctl_namespace>). With the `system-malloc` feature the program allocates
//! elsewhere and jemalloc's numbers mean nothing, so they are not asked for.

use std::ffi::{CStr, CString};
use std::ptr;

use nix::errno::Errno;
use tikv_jemalloc_ctl::{Access, AsName, epoch, stats, stats_print};
use tikv_jemalloc_sys::mallctl;

/// Stands for "all arenas together" in names: jemalloc's `MALLCTL_ARENAS_ALL`.
const ALL_ARENAS: usize = 4096;

/// Whether jemalloc is what the program allocates with.
pub const IS_JEMALLOC: bool = !cfg!(feature = "system-malloc");

/// Where the allocator's memory is, in bytes.
#[derive(Debug, Default, Clone, Copy)]
pub struct AllocatorStats {
    /// In allocations.
    pub allocated: usize,
    /// In pages with allocations.
    pub active: usize,
    /// In pages that are backed by memory.
    pub resident: usize,
    /// In pages that the system may take back but has not.
    pub muzzy: usize,
    /// Lost in small allocations' pages, between allocations.
    pub fragmented: usize,
}

impl AllocatorStats {
    /// The statistics now. What cannot be read is 0.
    pub fn read() -> AllocatorStats {
        if !IS_JEMALLOC {
            return AllocatorStats::default();
        }
        // jemalloc keeps a snapshot of its numbers until the epoch is advanced.
        let _ = epoch::advance();
        AllocatorStats {
            allocated: stats::allocated::read().unwrap_or(0),
            active: stats::active::read().unwrap_or(0),
            resident: stats::resident::read().unwrap_or(0),
            muzzy: muzzy_bytes().unwrap_or(0),
            fragmented: fragmented_bytes().unwrap_or(0),
        }
    }
}

type CtlResult<T> = Result<T, tikv_jemalloc_ctl::Error>;

fn muzzy_bytes() -> CtlResult<usize> {
    let pages: usize = format!("stats.arenas.{ALL_ARENAS}.pmuzzy\0").as_str().name().read()?;
    let page: usize = "arenas.page\0".name().read()?;
    Ok(pages * page)
}

/// Bytes of free regions in the slabs of all size classes of small allocations.
fn fragmented_bytes() -> CtlResult<usize> {
    let bins: u32 = "arenas.nbins\0".name().read()?;
    let mut size = "arenas.bin.0.size\0".name().mib::<[usize; 4]>()?;
    let mut regions = "arenas.bin.0.nregs\0".name().mib::<[usize; 4]>()?;
    let mut slabs = "stats.arenas.0.bins.0.curslabs\0".name().mib::<[usize; 6]>()?;
    let mut used = "stats.arenas.0.bins.0.curregs\0".name().mib::<[usize; 6]>()?;
    (slabs[2], used[2]) = (ALL_ARENAS, ALL_ARENAS);
    let mut bytes = 0;
    for bin in 0..bins as usize {
        (size[2], regions[2], slabs[4], used[4]) = (bin, bin, bin, bin);
        let (size, slabs, used): (usize, usize, usize) = (size.read()?, slabs.read()?, used.read()?);
        let regions: u32 = regions.read()?;
        bytes += (slabs * regions as usize).saturating_sub(used) * size;
    }
    Ok(bytes)
}

/// The allocator's own report about itself.
pub fn report() -> String {
    let mut text = Vec::new();
    if !IS_JEMALLOC || stats_print::stats_print(&mut text, stats_print::Options::default()).is_err() {
        return "Stats not supported for the current allocator".into();
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Gives pages back to the system that are not in use.
///
/// # Errors
/// The allocator's.
pub fn purge() -> Result<(), Errno> {
    command("thread.tcache.flush")?;
    command(&format!("arena.{ALL_ARENAS}.purge"))
}

fn c_name(name: &str) -> Result<CString, Errno> {
    CString::new(name).map_err(|_| Errno::ENOENT)
}

fn result(code: i32) -> Result<(), Errno> {
    if code == 0 { Ok(()) } else { Err(Errno::from_raw(code)) }
}

/// Calls a control that neither has nor takes a value.
///
/// # Errors
/// The allocator's; `ENOENT` if there is no such control, or if it has a value.
pub fn command(name: &str) -> Result<(), Errno> {
    let name = c_name(name)?;
    // SAFETY: the name is a C string, and null pointers say that no value is passed in either direction.
    result(unsafe { mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0) })
}

/// Reads a control whose value is a number or a flag, and writes `new` to it if given.
///
/// # Errors
/// The allocator's; `EPERM` for controls that hold addresses.
pub fn number(name: &str, new: Option<u64>) -> Result<u64, Errno> {
    if name.ends_with("extent_hooks") {
        return Err(Errno::EPERM);
    }
    let name = c_name(name)?;
    // A value has 8, 4 or 1 bytes. jemalloc writes only if it is offered as many as it has.
    let mut outcome = Err(Errno::EINVAL);
    for len in [8, 4, 1] {
        outcome = number_of_len(&name, new, len);
        if outcome != Err(Errno::EINVAL) {
            break;
        }
    }
    outcome
}

fn number_of_len(name: &CStr, new: Option<u64>, len: usize) -> Result<u64, Errno> {
    let mut old = 0_u64.to_le_bytes();
    let mut old_len = len;
    let mut new = new.map(u64::to_le_bytes);
    let (new_ptr, new_len) = new.as_mut().map_or((ptr::null_mut(), 0), |new| (new.as_mut_ptr(), len));
    // SAFETY: the name is a C string; `old` has room for `old_len` bytes and `new_ptr` is null or points at `new_len`
    // bytes, `len` being 8 at most. The one control whose value is taken for a pointer is refused by the caller.
    let code =
        unsafe { mallctl(name.as_ptr(), old.as_mut_ptr().cast(), &raw mut old_len, new_ptr.cast(), new_len) };
    result(code).map(|()| u64::from_le_bytes(old))
}

/// Reads a control whose value is a text.
///
/// # Errors
/// The allocator's; `EINVAL` if the value is no text.
pub fn text(name: &str) -> Result<String, Errno> {
    let name = c_name(name)?;
    if !name.as_bytes_with_nul().name().value_type_str() {
        // Tells an unknown name from one whose value is something else.
        return number(name.to_str().unwrap_or_default(), None).and(Err(Errno::EINVAL));
    }
    let mut value: *const libc::c_char = ptr::null();
    let mut len = size_of_val(&value);
    // SAFETY: the name is a C string of a control whose value is a `const char *`, for which there is room.
    let code = unsafe { mallctl(name.as_ptr(), (&raw mut value).cast(), &raw mut len, ptr::null_mut(), 0) };
    result(code)?;
    if value.is_null() {
        return Ok(String::new());
    }
    // SAFETY: jemalloc's texts are C strings that live as long as the process.
    Ok(unsafe { CStr::from_ptr(value) }.to_string_lossy().into_owned())
}

#[cfg(all(test, not(feature = "system-malloc")))]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_in_order() {
        let stats = AllocatorStats::read();
        assert!(
            0 < stats.allocated && stats.allocated <= stats.active && stats.active <= stats.resident,
            "{stats:?}"
        );
        assert!(stats.fragmented < stats.active, "{stats:?}");
    }

    #[test]
    fn controls_have_numbers_texts_or_nothing() {
        assert!(number("arenas.narenas", None).unwrap() >= 1);
        assert_eq!(number("opt.abort", None), Ok(0));
        assert_eq!(number("no.such.thing", None), Err(Errno::ENOENT));
        assert_eq!(number("arena.0.extent_hooks", Some(1)), Err(Errno::EPERM));
        assert!(text("version").unwrap().starts_with("5."));
        assert_eq!(text("arenas.narenas"), Err(Errno::EINVAL));
        assert_eq!(text("no.such.thing"), Err(Errno::ENOENT));
        assert_eq!(purge(), Ok(()));
    }

    #[test]
    fn report_is_jemallocs() {
        assert!(report().contains("jemalloc statistics"));
    }
}
