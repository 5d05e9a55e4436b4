//! Background threads, for what would block the loop: closing files, syncing them, freeing big values.
//!
//! Each kind of job has a thread of its own and a queue in front of it, as upstream. A job is a closure that owns
//! what it works on, so nothing is shared. After each job the thread publishes its share of the memory account.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};

use crate::zmalloc;

/// What a job is about, and hence which thread runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Dropping values that are too big to drop in the loop.
    LazyFree,
    /// Closing a file whose last link is gone: the system frees its blocks then.
    CloseFile,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
struct Worker {
    jobs: Sender<Job>,
    pending: Arc<AtomicUsize>,
}

impl Worker {
    fn start(name: &str, prepare: impl FnOnce() + Send + 'static) -> std::io::Result<Worker> {
        let (jobs, queue) = channel::<Job>();
        let pending = Arc::new(AtomicUsize::new(0));
        let left = pending.clone();
        std::thread::Builder::new().name(name.to_string()).spawn(move || {
            block_signals();
            prepare();
            let mut account = zmalloc::ThreadAccount::default();
            for job in queue {
                job();
                zmalloc::publish_thread(&mut account);
                left.fetch_sub(1, Ordering::Release);
            }
        })?;
        Ok(Worker { jobs, pending })
    }
}

/// Signals are for the loop's thread.
fn block_signals() {
    use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
    let mut set = SigSet::empty();
    for signal in [Signal::SIGALRM, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        set.add(signal);
    }
    // Failing would need an invalid `how`.
    let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), None);
}

/// The threads.
#[derive(Debug)]
pub struct Bio {
    lazy_free: Worker,
    close_file: Worker,
}

impl Bio {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> std::io::Result<Bio> {
        Bio::start_with(|| ())
    }

    /// Starts the threads, each of which calls `prepare` before its first job: to bind itself to processors.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start_with(prepare: impl FnOnce() + Clone + Send + 'static) -> std::io::Result<Bio> {
        Ok(Bio {
            lazy_free: Worker::start("bio_lazy_free", prepare.clone())?,
            close_file: Worker::start("bio_close_file", prepare)?,
        })
    }

    fn worker(&self, kind: JobKind) -> &Worker {
        match kind {
            JobKind::LazyFree => &self.lazy_free,
            JobKind::CloseFile => &self.close_file,
        }
    }

    /// Has `job` run in the background, after all earlier ones of its kind.
    pub fn submit(&self, kind: JobKind, job: impl FnOnce() + Send + 'static) {
        let worker = self.worker(kind);
        worker.pending.fetch_add(1, Ordering::Relaxed);
        if let Err(lost) = worker.jobs.send(Box::new(job)) {
            // The thread is gone, which only a panic in a job can cause: do the work here.
            (lost.0)();
            worker.pending.fetch_sub(1, Ordering::Release);
        }
    }

    /// Jobs of this kind that are not done.
    pub fn pending(&self, kind: JobKind) -> usize {
        self.worker(kind).pending.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_prepare_themselves() {
        let (ready, names) = channel();
        let bio =
            Bio::start_with(move || ready.send(std::thread::current().name().map(str::to_owned)).unwrap());
        let mut names: Vec<_> = names.iter().take(2).flatten().collect();
        names.sort();
        assert_eq!(names, ["bio_close_file", "bio_lazy_free"]);
        drop(bio.unwrap());
    }

    #[test]
    fn jobs_run_in_order() {
        let bio = Bio::start().unwrap();
        let (done, results) = channel();
        for i in 0..10 {
            let done = done.clone();
            bio.submit(JobKind::LazyFree, move || done.send(i).unwrap());
        }
        assert_eq!(results.iter().take(10).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        while bio.pending(JobKind::LazyFree) > 0 {
            std::thread::yield_now();
        }
    }
}
