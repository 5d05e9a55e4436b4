//! Lists of processors, and binding a thread to them.
//!
//! A list has the form that `taskset -c` reads: numbers and ranges separated by commas, a range with an optional
//! step. `0,2-4` is 0, 2, 3, 4; `0-6:2` is 0, 2, 4, 6.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// The processors of a list; `None` if the list is malformed or names a processor beyond what a set can hold.
pub fn parse_cpu_list(list: &[u8]) -> Option<Vec<usize>> {
    let list = std::str::from_utf8(list).ok()?;
    let mut processors = Vec::new();
    for item in list.split(',') {
        let (range, step) = item.split_once(':').map_or((item, "1"), |(range, step)| (range, step));
        if range.len() != item.len() && !range.contains('-') {
            return None;
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last, step) = (number(first)?, number(last)?, number(step)?);
        if first > last || last >= CpuSet::count() || step == 0 {
            return None;
        }
        processors.extend((first..=last).step_by(step));
    }
    Some(processors)
}

fn number(digits: &str) -> Option<usize> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Binds the calling thread to the processors of a list. As upstream, a malformed list or processors that are not
/// there change nothing; unlike upstream, the log says so.
pub fn bind_thread(list: &[u8]) {
    let Some(processors) = parse_cpu_list(list) else {
        log::warn!("Invalid list of processors '{}', ignored", String::from_utf8_lossy(list));
        return;
    };
    let mut set = CpuSet::new();
    let bound = processors
        .into_iter()
        .try_for_each(|processor| set.set(processor))
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = bound {
        log::warn!("Unable to bind to processors '{}': {}", String::from_utf8_lossy(list), error.desc());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(parse_cpu_list(b"0"), Some(vec![0]));
        assert_eq!(parse_cpu_list(b"0,2,3"), Some(vec![0, 2, 3]));
        assert_eq!(parse_cpu_list(b"0,2-4"), Some(vec![0, 2, 3, 4]));
        assert_eq!(parse_cpu_list(b"0-6:2,9"), Some(vec![0, 2, 4, 6, 9]));
        for bad in ["", "a", "1-", "-1", "3-1", "0-4:0", "1:2", "1,,2", "+1", "0-99999999999"] {
            assert_eq!(parse_cpu_list(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_thread_can_be_bound_to_where_it_may_run() {
        let here = Pid::from_raw(0);
        let allowed = nix::sched::sched_getaffinity(here).unwrap();
        let first = (0..CpuSet::count()).find(|&n| allowed.is_set(n) == Ok(true)).unwrap();
        bind_thread(first.to_string().as_bytes());
        let bound = nix::sched::sched_getaffinity(here).unwrap();
        let count = (0..CpuSet::count()).filter(|&n| bound.is_set(n) == Ok(true)).count();
        assert_eq!((count, bound.is_set(first)), (1, Ok(true)));
    }
}
