//! Threads for the length of one call.
//!
//! [`Par`] says how a call may run; [`Par::run`] hands its jobs, in order, to as many threads as that allows, the
//! caller's own among them. Threads are scoped: they start with the call and end with it. There is no pool
//! between calls, and so nothing that a forked child could inherit broken, no lock and no hand-over at exit.
//! A start costs about 50 µs and is paid only where the work is far larger. Road not taken: rayon, whose pool does
//! not survive a fork (rayon#708).
//!
//! Jobs are blocks of rows and each output element belongs to one job, so that no result depends on which
//! thread did what; where jobs add to the same numbers, `InOrder` does it in the order of the jobs. Between
//! its jobs the caller's thread asks every 50 ms whether to go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::simd::Level;

/// Elements that a thread must have before it is worth starting: about 50 µs of work.
const GRAIN: usize = 1 << 17;

/// How often the caller's check is called.
const PATIENCE: Duration = Duration::from_millis(50);

/// How a call may run.
#[derive(Clone, Copy)]
pub struct Par<'a> {
    /// Threads, the caller's included.
    pub threads: usize,
    /// The SIMD level of its kernels.
    pub level: Level,
    /// Asked every 50 ms, on the caller's thread, between two jobs, and told which share of the jobs has been handed
    /// out: `true` stops the call with [`Error::Stopped`].
    pub stop: &'a (dyn Fn(f64) -> bool + Sync),
}

impl Par<'static> {
    /// One thread at the best level, never stopped.
    #[must_use]
    pub fn serial() -> Self {
        Self { threads: 1, level: Level::best(), stop: &|_| false }
    }
}

impl Par<'_> {
    /// Does every job, each on one of the threads, and returns what the threads' states have become.
    ///
    /// `size` is the number of elements of all jobs together; `start` makes the state of a thread.
    ///
    /// # Errors
    /// The error of the first job (in order) that fails, whatever the threads; [`Error::Stopped`] if stopped.
    pub fn run<J: Send, W: Send>(
        &self,
        jobs: impl Iterator<Item = J> + Send,
        size: usize,
        start: impl Fn() -> W + Sync,
        work: impl Fn(&mut W, J) -> Result<(), Error> + Sync,
    ) -> Result<Vec<W>, Error> {
        let crew = Crew {
            count: jobs.size_hint().1.unwrap_or(usize::MAX),
            halt: AtomicBool::new(false),
            failed: Mutex::new(None),
        };
        let jobs = Mutex::new(jobs.enumerate().fuse());
        let states = Mutex::new(Vec::new());
        let helpers = (size / GRAIN).min(self.threads).min(crew.count).saturating_sub(1);
        labour(helpers, self.stop, &|turn| {
            let mut state = start();
            while crew.goes_on() {
                let job = lock(&jobs).next();
                let Some((number, job)) = job else { break };
                if turn.is_stopped(&crew, number) {
                    break;
                }
                if let Err(error) = work(&mut state, job) {
                    // Jobs count from 1 here: a stop, number 0, goes before any error.
                    crew.fail(number + 1, error);
                }
            }
            lock(&states).push(state);
        });
        match crew.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => Ok(states.into_inner().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

/// Asks for a loop outside [`Par::run`], on the caller's thread, whether to go on.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Instant>);

impl Watch {
    /// To be called often: looks at the clock, and every 50 ms asks.
    pub(crate) fn ask(&mut self, par: Par<'_>, done: f64) -> Result<(), Error> {
        if self.is_time() && (par.stop)(done) { Err(Error::Stopped) } else { Ok(()) }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the pool")]
    fn is_time(&mut self) -> bool {
        let asked = self.0.get_or_insert_with(Instant::now);
        let is_time = asked.elapsed() >= PATIENCE;
        if is_time {
            *asked = Instant::now();
        }
        is_time
    }
}

/// Adds parts to a whole in the order of their numbers, whatever the order in which threads bring them.
#[derive(Debug)]
pub(crate) struct InOrder<A, P> {
    state: Mutex<Parts<A, P>>,
}

/// A whole, the number of the part that it waits for, and those that came before their turn: hardly more than
/// threads.
#[derive(Debug)]
struct Parts<A, P> {
    whole: A,
    next: usize,
    waiting: Vec<(usize, P)>,
}

impl<A, P> InOrder<A, P> {
    pub(crate) fn new(whole: A) -> Self {
        Self { state: Mutex::new(Parts { whole, next: 0, waiting: Vec::new() }) }
    }

    /// Brings part `number`; each number from 0 on must come once.
    pub(crate) fn bring(&self, number: usize, part: P, add: impl Fn(&mut A, P)) {
        let mut state = lock(&self.state);
        let Parts { whole, next, waiting } = &mut *state;
        waiting.push((number, part));
        while let Some(at) = waiting.iter().position(|(number, _)| number == next) {
            add(whole, waiting.swap_remove(at).1);
            *next += 1;
        }
    }

    pub(crate) fn into_whole(self) -> A {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).whole
    }
}

impl InOrder<Vec<f64>, Vec<f64>> {
    /// Brings numbers that are added to those of the whole, each to its own.
    pub(crate) fn add(&self, number: usize, part: Vec<f64>) {
        self.bring(number, part, |whole, part| {
            for (whole, part) in whole.iter_mut().zip(part) {
                *whole += part;
            }
        });
    }
}

/// What the threads of one call share beside their jobs.
struct Crew {
    /// How many jobs there are at most.
    count: usize,
    halt: AtomicBool,
    failed: Mutex<Option<(usize, Error)>>,
}

impl Crew {
    /// Whether there is to be another job. One in hand is always finished, so that of several bad ones the
    /// first is found.
    fn goes_on(&self) -> bool {
        !self.halt.load(Ordering::Relaxed)
    }

    fn fail(&self, number: usize, error: Error) {
        let mut failed = lock(&self.failed);
        if failed.as_ref().is_none_or(|(first, _)| number < *first) {
            *failed = Some((number, error));
        }
        self.halt.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on this thread and on some helpers. Compiled once, whatever the jobs.
#[expect(clippy::disallowed_methods, reason = "this is the pool")]
fn labour(helpers: usize, stop: &dyn Fn(f64) -> bool, work: &(dyn Fn(&mut Turn<'_>) + Sync)) {
    let mut own = Turn { stop, watch: Watch::default() };
    if helpers == 0 {
        return work(&mut own);
    }
    thread::scope(|scope| {
        // A machine out of threads gives fewer of them, not an error.
        let helper = || work(&mut Turn { stop: &|_| false, watch: Watch::default() });
        let helpers: Vec<_> =
            (0..helpers).map_while(|_| thread::Builder::new().spawn_scoped(scope, helper).ok()).collect();
        work(&mut own);
        for helper in helpers {
            if let Err(panic) = helper.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// A thread's turn of duty.
struct Turn<'a> {
    stop: &'a dyn Fn(f64) -> bool,
    watch: Watch,
}

impl Turn<'_> {
    /// Whether job `number` is to be left. The clock is not looked at for a single job.
    fn is_stopped(&mut self, crew: &Crew, number: usize) -> bool {
        let stopped = number > 0 && self.watch.is_time() && (self.stop)(number as f64 / crew.count as f64);
        if stopped {
            crew.fail(0, Error::Stopped);
        }
        stopped
    }
}

/// What a lock holds, after a panic too: the panic goes on elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn par(threads: usize) -> Par<'static> {
        Par { threads, ..Par::serial() }
    }

    #[test]
    fn every_job_is_done_once() {
        for threads in [1, 2, 3, 7] {
            let mut out = vec![0_u32; 1000];
            let jobs = out.chunks_mut(7);
            let sums = par(threads)
                .run(
                    jobs,
                    usize::MAX,
                    || 0,
                    |sum, chunk: &mut [u32]| {
                        for x in chunk.iter_mut() {
                            *x += 1;
                        }
                        *sum += chunk.len();
                        Ok(())
                    },
                )
                .unwrap();
            assert_eq!(sums.iter().sum::<usize>(), 1000);
            assert_eq!(sums.len(), threads);
            assert!(out.iter().all(|&x| x == 1));
        }
    }

    #[test]
    fn the_first_error_is_the_one_returned() {
        for threads in [1, 2, 3, 7] {
            let work = |(): &mut (), i: usize| {
                if i % 50 == 49 { Err(Error::BatchTooLarge { k: i, available: 0 }) } else { Ok(()) }
            };
            let result = par(threads).run(0..1000, usize::MAX, || (), work);
            assert_eq!(result.unwrap_err(), Error::BatchTooLarge { k: 49, available: 0 });
        }
    }

    #[test]
    fn a_call_can_be_stopped() {
        let nap = |(): &mut (), _| {
            thread::sleep(Duration::from_millis(1));
            Ok(())
        };
        let par = Par { stop: &|_| true, ..par(2) };
        assert_eq!(par.run(0..10_000, usize::MAX, || (), nap).unwrap_err(), Error::Stopped);
    }

    #[test]
    fn small_work_starts_no_thread() {
        assert_eq!(par(8).run(0..10, GRAIN, || (), |(), _| Ok(())).unwrap().len(), 1);
    }

    #[test]
    fn parts_are_added_in_order() {
        let whole = InOrder::new(Vec::new());
        for number in [2, 0, 1, 4, 3] {
            whole.bring(number, number, Vec::push);
        }
        assert_eq!(whole.into_whole(), [0, 1, 2, 3, 4]);
    }
}
