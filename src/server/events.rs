//! The loop: what happens on each turn, in which order.
//!
//! A turn is: prepare to sleep (finish what must not wait, write replies), sleep until a descriptor or a timer
//! wants something, serve the descriptors, serve clients whose input was left over, run timers.

use std::time::{Duration, Instant};

use crate::db::{blocked, evict, expire};
use crate::persistence::aof;
use crate::server::networking::{self, TOKEN_INTERNAL, WAKER_TOKEN};
use crate::server::{Server, cron};

/// Runs until the server is told to end.
pub fn run(srv: &mut Server) {
    while !srv.process.exit_requested {
        turn(srv, None);
    }
}

/// One turn; sleeps at most `most`, if given. Also serves events from within a long operation.
pub fn turn(srv: &mut Server, most: Option<Duration>) {
    gather(srv);
    if srv.process.exit_requested {
        return;
    }
    before_sleep(srv);
    let timeout = sleep_time(srv, most);
    srv.el.poll(Some(timeout));
    srv.clock.update();
    let woke_ns = srv.clock.mono_ns;
    serve(srv);
    if srv.process.exit_requested {
        return;
    }
    networking::serve_pending_accepts(srv);
    networking::serve_pending_reads(srv);
    cron::run_timers(srv);
    srv.stats.eventloop_cycles += 1;
    srv.stats.eventloop_ns += crate::io::monotonic::now_ns().saturating_sub(woke_ns);
}

/// Serves more clients in this turn, if the disk is about to be waited for, and they would have to wait for it again.
fn gather(srv: &mut Server) {
    let Some(patience) = aof::write::patience(srv) else { return };
    let begun = Instant::now();
    while !srv.process.exit_requested && aof::write::patience(srv).is_some() && begun.elapsed() < patience {
        srv.el.poll(Some(Duration::ZERO));
        srv.clock.update();
        serve(srv);
        networking::serve_pending_reads(srv);
    }
}

/// Rounds of [`serve_in_between`].
const ROUNDS_IN_BETWEEN: usize = 4;

/// Serves clients from within a long operation (a load, a script that runs for too long), without sleeping. Timers and
/// what belongs between two commands wait until the operation is over.
pub fn serve_in_between(srv: &mut Server) {
    srv.clock.update();
    for _ in 0..ROUNDS_IN_BETWEEN {
        srv.el.poll(Some(Duration::ZERO));
        let idle = srv.el.is_idle() && !networking::has_work_of_clients(srv);
        serve(srv);
        networking::serve_pending_accepts(srv);
        networking::serve_pending_reads(srv);
        aof::write::before_sleep(srv);
        networking::flush_pending(srv);
        networking::close_pending(srv);
        if idle || srv.process.exit_requested {
            break;
        }
    }
}

/// Serves what the descriptors want. Once the server is to end no further command runs: it would not be saved.
fn serve(srv: &mut Server) {
    while !srv.process.exit_requested
        && let Some(ready) = srv.el.next_ready()
    {
        let token = ready.token;
        if token == WAKER_TOKEN {
            blocked::finish_flushes(srv);
        } else if token.0 & TOKEN_INTERNAL != 0 {
            internal_event(srv, token.0 & !TOKEN_INTERNAL);
        } else {
            let id = networking::client_of(token);
            networking::client_event(srv, id, ready.readable, ready.writable, ready.closed);
        }
    }
}

fn internal_event(srv: &mut Server, index: usize) {
    if networking::accept(srv, index) {
        networking::queue_accept(srv, index);
    }
}

/// What must be done before the loop sleeps.
fn before_sleep(srv: &mut Server) {
    if srv.debug.active_expire {
        expire::fast_cycle(srv);
    }
    networking::check_pause(srv);
    blocked::before_sleep(srv);
    if srv.eviction.unfinished {
        evict::make_room(srv);
    }
    aof::write::before_sleep(srv);
    networking::flush_pending(srv);
    networking::close_pending(srv);
}

/// How long the loop may sleep.
fn sleep_time(srv: &mut Server, most: Option<Duration>) -> Duration {
    if networking::has_work(srv) {
        return Duration::ZERO;
    }
    let mut timeout = cron::time_to_next(srv);
    if let Some(pause) = networking::check_pause(srv) {
        timeout = timeout.min(pause);
    }
    if let Some(deadline) = blocked::time_to_next(srv) {
        timeout = timeout.min(deadline);
    }
    most.map_or(timeout, |most| timeout.min(most))
}
