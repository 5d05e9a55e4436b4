//! MEMORY DOCTOR: what is odd about the memory in use, in words.

use std::fmt::Write;

use crate::server::{Client, CmdResult, Server};
use crate::zmalloc;

use super::{Overhead, Overview};

/// With less than this in use, ratios say nothing.
const TOO_LITTLE: usize = 5 * 1024 * 1024;

/// A difference must have this many bytes to be worth a word.
const WORTH_A_WORD: i64 = 10 * 1024 * 1024;

/// Bytes by client from which buffers are large.
const LARGE_BUFFERS: usize = 200 * 1024;

/// What may be odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Peak,
    Rss,
    Fragmentation,
    AllocatorRss,
    ProcessRss,
    ClientBuffers,
}

impl Finding {
    fn text(self) -> String {
        match self {
            Finding::Peak => "Peak memory: This instance once used more than one and a half times the memory it uses \
                              now. The allocator keeps much of it, so that the memory of the process may look too \
                              large; it will be used again when the dataset grows. MEMORY PURGE gives back what it \
                              can, a restart the rest."
                .into(),
            Finding::Rss => format!(
                "High total RSS: The process takes more than 1.4 times the memory that is allocated. Either memory \
                 use had a peak (which would be listed here), or allocations of changing sizes have left holes. The \
                 allocator in use is \"{}\".",
                zmalloc::allocator_name()
            ),
            Finding::Fragmentation => "High allocator fragmentation: Pages of the allocator hold more than a tenth of \
                                       free space between allocations, after a peak or because sizes have changed."
                .into(),
            Finding::AllocatorRss => "High allocator RSS overhead: The allocator holds more than a tenth of memory in \
                                      pages without allocations. Try MEMORY PURGE."
                .into(),
            Finding::ProcessRss => "High process RSS overhead: The process takes more than 1.1 times the allocator's \
                                    memory. What comes on top is not the allocator's."
                .into(),
            Finding::ClientBuffers => "Big client buffers: Clients take more than 200 KB each on average. CLIENT \
                                       LIST shows which ones (qbuf, omem, tot-mem); 'client-output-buffer-limit' \
                                       bounds what may wait for a client that does not read."
                .into(),
        }
    }
}

fn findings(overview: &Overview, clients: usize) -> Vec<Finding> {
    let high = |overhead: Overhead, ratio: f64| overhead.ratio > ratio && overhead.bytes > WORTH_A_WORD;
    let all = [
        (overview.peak as f64 / overview.used.max(1) as f64 > 1.5, Finding::Peak),
        (high(overview.fragmentation(), 1.4), Finding::Rss),
        (high(overview.allocator_fragmentation(), 1.1), Finding::Fragmentation),
        (high(overview.allocator_rss(), 1.1), Finding::AllocatorRss),
        (high(overview.rss_overhead(), 1.1), Finding::ProcessRss),
        (overview.clients / clients.max(1) > LARGE_BUFFERS, Finding::ClientBuffers),
    ];
    all.into_iter().filter(|(found, _)| *found).map(|(_, finding)| finding).collect()
}

fn report(overview: &Overview, clients: usize) -> String {
    if overview.used < TOO_LITTLE {
        return "This instance is empty or uses very little memory, so nothing can be said about its memory yet.\n"
            .into();
    }
    let findings = findings(overview, clients);
    if findings.is_empty() {
        return "No memory problem was found in this instance.\n".into();
    }
    let mut text = String::from("The memory of this instance has these peculiarities:\n\n");
    for finding in findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, " * {}\n", finding.text());
    }
    text
}

/// `MEMORY DOCTOR`
pub fn memory_doctor(srv: &mut Server, c: &mut Client) -> CmdResult {
    let text = report(&Overview::of(srv, Some(c)), srv.clients.len());
    c.out.verbatim("txt", text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::memory::allocator::AllocatorStats;

    const MB: usize = 1024 * 1024;

    fn overview() -> Overview {
        let allocator = AllocatorStats {
            allocated: 100 * MB,
            active: 101 * MB,
            resident: 102 * MB,
            muzzy: 0,
            fragmented: MB,
        };
        Overview {
            used: 100 * MB,
            peak: 101 * MB,
            startup: MB,
            process_rss: 105 * MB,
            script_cache: 0,
            script_engines: 0,
            functions: 0,
            clients: 50_000,
            dbs: vec![],
            keys: 1,
            allocator,
        }
    }

    #[test]
    fn finds_what_is_odd() {
        type Change<'a> = &'a dyn Fn(&mut Overview);
        let cases: [(Change<'_>, &[Finding]); 5] = [
            (&|_| (), &[]),
            (&|o| o.peak = 200 * MB, &[Finding::Peak]),
            (&|o| o.clients = 30 * MB, &[Finding::ClientBuffers]),
            (&|o| o.process_rss = 160 * MB, &[Finding::Rss, Finding::ProcessRss]),
            (&|o| o.allocator.fragmented = 20 * MB, &[Finding::Fragmentation]),
        ];
        for (change, expected) in cases {
            let mut overview = overview();
            change(&mut overview);
            assert_eq!(findings(&overview, 10), expected);
        }
    }

    #[test]
    fn says_nothing_about_little() {
        let little = Overview { used: MB, peak: 100 * MB, ..overview() };
        assert!(report(&little, 1).contains("very little memory"));
        assert_eq!(report(&overview(), 1), "No memory problem was found in this instance.\n");
    }
}
