//! Where memory goes, as INFO, MEMORY STATS and MEMORY DOCTOR see it.
//!
//! ```text
//!   used                       usable bytes of all allocations
//!   ├── overhead               what is there for the server itself
//!   │   ├── startup            in use before the first client
//!   │   ├── clients            structs and buffers of clients
//!   │   └── databases          hash tables, without what they point at
//!   └── dataset                the rest: keys and values
//!
//!   process_rss                memory of the process in the sense of the system
//!   └── allocator.resident     the allocator's share
//!       └── allocator.active   pages with allocations
//!           └── allocator.allocated
//! ```

use crate::server::client_cmd;
use crate::server::{Client, Server};
use crate::zmalloc;

use super::allocator::AllocatorStats;

/// What the tables of a database cost, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct DbOverhead {
    /// Number of the database.
    pub id: usize,
    /// The table of keys, which knows the expiries as well.
    pub table: usize,
}

/// A ratio of two sizes, and their difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overhead {
    /// The larger by the smaller.
    pub ratio: f64,
    /// The larger less the smaller; negative when they have traded places.
    pub bytes: i64,
}

impl Overhead {
    /// How much larger `gross` is than `net`.
    fn of(gross: usize, net: usize) -> Overhead {
        Overhead { ratio: gross as f64 / net.max(1) as f64, bytes: gross as i64 - net as i64 }
    }
}

/// Where memory goes; all sizes in bytes.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Usable bytes of all allocations.
    pub used: usize,
    /// Most bytes in use so far.
    pub peak: usize,
    /// Bytes in use before the first client.
    pub startup: usize,
    /// Memory of the process, as the system counts it.
    pub process_rss: usize,
    /// The cache of scripts.
    pub script_cache: usize,
    /// Libraries of functions.
    pub functions: usize,
    /// The Lua states, which are not part of `used`.
    pub script_engines: usize,
    /// Structs and buffers of clients.
    pub clients: usize,
    /// Tables of the databases that are not empty.
    pub dbs: Vec<DbOverhead>,
    /// Keys in all databases.
    pub keys: usize,
    /// The allocator's own numbers.
    pub allocator: AllocatorStats,
}

impl Overview {
    /// The numbers now; `c` is the client that is checked out, if one is.
    pub fn of(srv: &Server, c: Option<&Client>) -> Overview {
        let used = zmalloc::used_memory();
        let dbs = srv.dbs.iter().filter(|db| !db.is_empty());
        Overview {
            used,
            peak: srv.stats.peak_memory.max(used),
            startup: srv.process.startup_memory,
            process_rss: process_rss(),
            script_cache: srv.scripting.eval.cache_bytes(),
            functions: srv.scripting.functions.libraries.mem_bytes(),
            script_engines: srv.scripting.engines_bytes(),
            clients: srv.clients.iter().chain(c).map(client_cmd::memory_of).sum(),
            dbs: dbs.map(|db| DbOverhead { id: db.id, table: db.keys.table().mem_bytes() }).collect(),
            keys: srv.dbs.iter().map(|db| db.len()).sum(),
            allocator: AllocatorStats::read(),
        }
    }

    /// What is there for the server itself.
    pub fn overhead(&self) -> usize {
        self.startup + self.clients + self.script_cache + self.functions + self.tables()
    }

    /// The databases' tables together.
    pub fn tables(&self) -> usize {
        self.dbs.iter().map(|db| db.table).sum()
    }

    /// Keys and values.
    pub fn dataset(&self) -> usize {
        self.used.saturating_sub(self.overhead())
    }

    /// The dataset's share, in percent, of what has come since the start.
    pub fn dataset_percent(&self) -> f64 {
        percent(self.dataset(), self.used.saturating_sub(self.startup))
    }

    /// What is in use, in percent of the peak.
    pub fn peak_percent(&self) -> f64 {
        percent(self.used, self.peak)
    }

    /// Bytes of the dataset by key.
    pub fn bytes_per_key(&self) -> usize {
        self.dataset().checked_div(self.keys).unwrap_or(0)
    }

    /// Lost between small allocations.
    pub fn allocator_fragmentation(&self) -> Overhead {
        Overhead::of(self.allocator.allocated + self.allocator.fragmented, self.allocator.allocated)
    }

    /// Held by the allocator in pages without allocations.
    pub fn allocator_rss(&self) -> Overhead {
        Overhead::of(self.allocator.resident, self.allocator.active)
    }

    /// Memory of the process that is not the allocator's.
    pub fn rss_overhead(&self) -> Overhead {
        Overhead::of(self.process_rss, self.allocator.resident)
    }

    /// Memory of the process that no allocation uses.
    pub fn fragmentation(&self) -> Overhead {
        Overhead::of(self.process_rss, self.used)
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// Memory of this process, in bytes, or 0 if the system does not tell.
pub fn process_rss() -> usize {
    // The second word of the file is the number of resident pages.
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|word| word.parse::<usize>().ok());
    pages.unwrap_or(0) * page_size()
}

fn page_size() -> usize {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096) as usize
}

/// Memory of this machine, in bytes.
pub fn system_memory() -> usize {
    let sysconf = |name| nix::unistd::sysconf(name).ok().flatten().unwrap_or(0) as usize;
    sysconf(nix::unistd::SysconfVar::_PHYS_PAGES) * page_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up() {
        let overview = Overview {
            used: 10_000,
            peak: 20_000,
            startup: 2_000,
            process_rss: 50_000,
            script_cache: 0,
            script_engines: 0,
            functions: 0,
            clients: 1_000,
            dbs: vec![DbOverhead { id: 0, table: 600 }, DbOverhead { id: 3, table: 400 }],
            keys: 60,
            allocator: AllocatorStats {
                allocated: 12_000,
                active: 20_000,
                resident: 40_000,
                muzzy: 0,
                fragmented: 3_000,
            },
        };
        assert_eq!((overview.overhead(), overview.dataset(), overview.bytes_per_key()), (4_000, 6_000, 100));
        assert_eq!((overview.peak_percent(), overview.dataset_percent()), (50.0, 75.0));
        assert_eq!(overview.allocator_fragmentation(), Overhead { ratio: 1.25, bytes: 3_000 });
        assert_eq!(overview.rss_overhead(), Overhead { ratio: 1.25, bytes: 10_000 });
        assert_eq!(overview.fragmentation(), Overhead { ratio: 5.0, bytes: 40_000 });
    }

    #[test]
    fn the_system_is_asked() {
        assert!(process_rss() > 100_000 && system_memory() > process_rss());
    }
}
