//! Threads for the length of one call.
//!
//! [`Par`] says how a call may run; [`Par::run`] hands its jobs, in order, to as many threads as that allows, the
//! caller's own among them. Threads are scoped: they start with the call and end with it. There is no pool
//! between calls, and so nothing that a forked child could inherit broken, no lock and no hand-over at exit.
//! A start costs about 50 µs and is paid only where the work is far larger. Road not taken: rayon, whose pool does
//! not survive a fork (rayon#708).
//!
//! Jobs are blocks of rows and each output element belongs to one job, so that no result depends on which thread
//! did what; where jobs add to the same numbers, `InOrder` does it in the order of the jobs. Between its jobs the caller's thread asks every 50 ms whether to go on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
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
            jobs: Mutex::new(jobs.enumerate().fuse()),
            halt: AtomicBool::new(false),
            failed: Mutex::new(None),
        };
        let helpers = (size / GRAIN).min(self.threads).saturating_sub(1);
        let states = if helpers == 0 {
            vec![crew.labour(start(), &work, self.stop)]
        } else {
            self.with_helpers(helpers, &crew, &start, &work)
        };
        match crew.failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => Ok(states),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the pool")]
    fn with_helpers<J: Send, W: Send>(
        &self,
        helpers: usize,
        crew: &Crew<impl Iterator<Item = (usize, J)> + Send>,
        start: &(impl Fn() -> W + Sync),
        work: &(impl Fn(&mut W, J) -> Result<(), Error> + Sync),
    ) -> Vec<W> {
        thread::scope(|scope| {
            // A machine out of threads gives fewer of them, not an error.
            let helpers: Vec<_> = (0..helpers)
                .map_while(|_| {
                    thread::Builder::new().spawn_scoped(scope, || crew.labour(start(), work, &|_| false)).ok()
                })
                .collect();
            let mut states = vec![crew.labour(start(), work, self.stop)];
            for helper in helpers {
                match helper.join() {
                    Ok(state) => states.push(state),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            states
        })
    }
}

/// Asks for a loop outside [`Par::run`], on the caller's thread, whether to go on.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Instant>);

impl Watch {
    /// To be called often: looks at the clock, and every 50 ms asks.
    #[expect(clippy::disallowed_methods, reason = "this is the pool")]
    pub(crate) fn ask(&mut self, par: Par<'_>, done: f64) -> Result<(), Error> {
        let asked = self.0.get_or_insert_with(Instant::now);
        if asked.elapsed() < PATIENCE {
            return Ok(());
        }
        *asked = Instant::now();
        if (par.stop)(done) { Err(Error::Stopped) } else { Ok(()) }
    }
}

/// Adds parts to a whole in the order of their numbers, whatever the order in which threads bring them.
#[derive(Debug)]
pub(crate) struct InOrder<A, P> {
    state: Mutex<(A, usize, BTreeMap<usize, P>)>,
}

impl<A, P> InOrder<A, P> {
    pub(crate) fn new(whole: A) -> Self {
        Self { state: Mutex::new((whole, 0, BTreeMap::new())) }
    }

    /// Brings part `number`; each number from 0 on must come once.
    pub(crate) fn bring(&self, number: usize, part: P, add: impl Fn(&mut A, P)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (whole, next, waiting) = &mut *state;
        waiting.insert(number, part);
        while let Some(part) = waiting.remove(next) {
            add(whole, part);
            *next += 1;
        }
    }

    pub(crate) fn into_whole(self) -> A {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).0
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

/// What the threads of one call share.
struct Crew<I> {
    /// How many jobs there are at most.
    count: usize,
    jobs: Mutex<I>,
    halt: AtomicBool,
    failed: Mutex<Option<(usize, Error)>>,
}

impl<J, I: Iterator<Item = (usize, J)>> Crew<I> {
    /// Takes jobs until there is none left. A job in hand is always finished, so that of several bad ones the
    /// first is found.
    #[expect(clippy::disallowed_methods, reason = "this is the pool")]
    fn labour<W>(
        &self,
        mut state: W,
        work: &impl Fn(&mut W, J) -> Result<(), Error>,
        stop: &dyn Fn(f64) -> bool,
    ) -> W {
        // The clock is not looked at for a single job.
        let mut asked: Option<Instant> = None;
        while !self.halt.load(Ordering::Relaxed) {
            let job = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((number, job)) = job else { break };
            if number > 0 {
                let asked = asked.get_or_insert_with(Instant::now);
                if asked.elapsed() >= PATIENCE {
                    *asked = Instant::now();
                    if stop(number as f64 / self.count as f64) {
                        self.fail(0, Error::Stopped);
                        break;
                    }
                }
            }
            if let Err(error) = work(&mut state, job) {
                // Jobs count from 1 here: a stop, number 0, goes before any error.
                self.fail(number + 1, error);
            }
        }
        state
    }

    fn fail(&self, number: usize, error: Error) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.as_ref().is_none_or(|(first, _)| number < *first) {
            *failed = Some((number, error));
        }
        self.halt.store(true, Ordering::Relaxed);
    }
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
