//! Background threads, for what would block the loop: closing files, syncing them, freeing big values.
//!
//! Each kind of job has a thread of its own and a queue in front of it, as upstream. A job is a closure that owns
//! what it works on, so nothing is shared. After each job the thread publishes its share of the memory account.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::Waker;

use crate::zmalloc;

/// What a job is about, and hence which thread runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobKind {
    /// Dropping values that are too big to drop in the loop.
    LazyFree,
    /// Closing a file whose last link is gone: the system frees its blocks then.
    CloseFile,
    /// Syncing the append-only file.
    Aof,
}

/// A job, and the token under which its end is reported, if it is.
struct Job {
    run: Box<dyn FnOnce() + Send>,
    token: Option<usize>,
}

#[derive(Debug)]
struct Worker {
    jobs: Sender<Job>,
    pending: Arc<AtomicUsize>,
}

impl Worker {
    fn start(name: &str, prepare: impl FnOnce() + Send + 'static, reports: Reports) -> io::Result<Worker> {
        let (jobs, queue) = channel::<Job>();
        let pending = Arc::new(AtomicUsize::new(0));
        let left = pending.clone();
        std::thread::Builder::new().name(name.to_string()).spawn(move || {
            block_signals();
            prepare();
            bioProcessBackgroundJobs(queue, &left, &reports);
        })?;
        Ok(Worker { jobs, pending })
    }
}

/// What a thread does. Stack traces show it under upstream's name, by which people and upstream's suite look for idle
/// threads.
#[expect(non_snake_case, reason = "a name that others look for")]
#[inline(never)]
fn bioProcessBackgroundJobs(queue: Receiver<Job>, left: &AtomicUsize, reports: &Reports) {
    let mut account = zmalloc::ThreadAccount::default();
    for job in queue {
        (job.run)();
        zmalloc::publish_thread(&mut account);
        left.fetch_sub(1, Ordering::Release);
        if let Some(token) = job.token {
            reports.send(token);
        }
    }
}

/// The way of a thread to say that a job is done.
#[derive(Debug, Clone)]
struct Reports {
    done: Sender<usize>,
    waker: Option<Arc<Waker>>,
}

impl Reports {
    fn send(&self, token: usize) {
        // Without a receiver the server is going, and nobody waits.
        let _ = self.done.send(token);
        if let Some(waker) = &self.waker {
            // It fails only where the loop's descriptor is gone.
            let _ = waker.wake();
        }
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
    aof: Worker,
    done: Receiver<usize>,
}

impl Bio {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> io::Result<Bio> {
        Bio::start_with(|| (), None)
    }

    /// Starts the threads, each of which calls `prepare` before its first job: to bind itself to processors. `waker` ends the
    /// loop's sleep when a job is done that was submitted by [`Bio::submit_for`].
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start_with(
        prepare: impl FnOnce() + Clone + Send + 'static,
        waker: Option<Waker>,
    ) -> io::Result<Bio> {
        let (sender, done) = channel();
        let reports = Reports { done: sender, waker: waker.map(Arc::new) };
        Ok(Bio {
            lazy_free: Worker::start("bio_lazy_free", prepare.clone(), reports.clone())?,
            close_file: Worker::start("bio_close_file", prepare.clone(), reports.clone())?,
            aof: Worker::start("bio_aof", prepare, reports)?,
            done,
        })
    }

    fn worker(&self, kind: JobKind) -> &Worker {
        match kind {
            JobKind::LazyFree => &self.lazy_free,
            JobKind::CloseFile => &self.close_file,
            JobKind::Aof => &self.aof,
        }
    }

    /// Has `job` run in the background, after all earlier ones of its kind.
    pub fn submit(&self, kind: JobKind, job: impl FnOnce() + Send + 'static) {
        self.enqueue(kind, Job { run: Box::new(job), token: None });
    }

    /// [`Bio::submit`], and has [`Bio::next_done`] give `token` when the job is done.
    pub fn submit_for(&self, kind: JobKind, token: usize, job: impl FnOnce() + Send + 'static) {
        self.enqueue(kind, Job { run: Box::new(job), token: Some(token) });
    }

    fn enqueue(&self, kind: JobKind, job: Job) {
        let worker = self.worker(kind);
        worker.pending.fetch_add(1, Ordering::Relaxed);
        // The queue lives as long as its thread, which only a panic in a job can end; and that ends the process.
        worker.jobs.send(job).unwrap_or_else(|_| panic!("a background thread is gone"));
    }

    /// The token of a job that is done and was not given out yet.
    pub fn next_done(&self) -> Option<usize> {
        self.done.try_recv().ok()
    }

    /// Waits until all jobs of this kind are done.
    pub fn drain(&self, kind: JobKind) {
        if self.pending(kind) > 0 {
            let (done, wait) = channel::<()>();
            self.submit(kind, move || drop(done));
            // Nothing is ever sent: the wait ends with the other end of the channel, when the queue has come to it.
            let _ = wait.recv();
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
        let bio = Bio::start_with(
            move || ready.send(std::thread::current().name().map(str::to_owned)).unwrap(),
            None,
        );
        let mut names: Vec<_> = names.iter().take(3).flatten().collect();
        names.sort();
        assert_eq!(names, ["bio_aof", "bio_close_file", "bio_lazy_free"]);
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

    #[test]
    fn a_drained_queue_is_empty() {
        let bio = Bio::start().unwrap();
        let (done, results) = channel();
        bio.submit(JobKind::Aof, move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            done.send(1).unwrap();
        });
        bio.drain(JobKind::Aof);
        assert_eq!(results.try_recv(), Ok(1));
    }

    #[test]
    fn ends_are_reported_under_their_tokens() {
        let bio = Bio::start().unwrap();
        bio.submit(JobKind::CloseFile, || ());
        bio.submit_for(JobKind::CloseFile, 7, || ());
        bio.submit_for(JobKind::CloseFile, 9, || ());
        let reported: Vec<usize> = std::iter::repeat_with(|| bio.next_done()).flatten().take(2).collect();
        assert_eq!((reported, bio.next_done()), (vec![7, 9], None));
    }
}
