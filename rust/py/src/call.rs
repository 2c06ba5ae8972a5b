//! The one door: how every call into the core is made.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use querist_core::error::Error;
use querist_core::pool::Par;

use crate::{arguments, settings};

/// Elements under which a call keeps the GIL: letting go and taking it again costs more than the work.
const SMALL: usize = 1 << 14;

/// The limits that a caller may set on any call.
pub(crate) struct Limits {
    threads: Option<usize>,
    deadline: Option<(f64, Instant)>,
    progress: Option<Py<PyAny>>,
}

impl Limits {
    /// One thread, and nothing else.
    pub(crate) const ONE_THREAD: Self = Self { threads: Some(1), deadline: None, progress: None };

    /// From `n_threads=` and `deadline=` (seconds from now).
    #[expect(clippy::disallowed_methods, reason = "the deadline is the door's")]
    pub(crate) fn new(
        n_threads: Option<&Bound<'_, PyAny>>,
        deadline: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let threads = arguments::threads(n_threads)?;
        let deadline = match deadline {
            None => None,
            Some(given) => {
                let seconds = arguments::seconds(given, "deadline")?;
                match Duration::try_from_secs_f64(seconds).ok().and_then(|d| Instant::now().checked_add(d)) {
                    Some(instant) => Some((seconds, instant)),
                    None => {
                        return Err(PyValueError::new_err(format!(
                            "deadline: expected seconds from now, got {seconds}"
                        )));
                    }
                }
            }
        };
        Ok(Self { threads, deadline, progress: None })
    }

    /// Also tells a callable now and then which share of the work is done.
    pub(crate) fn with_progress(mut self, progress: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        if let Some(progress) = progress {
            if !progress.is_callable() {
                let got = progress.get_type().name()?;
                return Err(PyTypeError::new_err(format!("progress: expected a callable, got {got}")));
            }
            self.progress = Some(progress.clone().unbind());
        }
        Ok(self)
    }
}

/// Does the work: off the GIL unless it is small, asking every 50 ms for signals and the deadline; an error of the
/// core becomes its Python exception, and a panic a `RuntimeError`.
pub(crate) fn call<R: Send>(
    py: Python<'_>,
    limits: &Limits,
    size: usize,
    work: impl FnOnce(Par<'_>) -> Result<R, Error> + Send,
) -> PyResult<R> {
    let (mut work, mut done) = (Some(work), None);
    run(py, limits, size, &mut |par| {
        done = work.take().map(|work| work(par)).transpose()?;
        Ok(())
    })?;
    done.ok_or_else(|| PyRuntimeError::new_err("no work"))
}

/// [`call`], compiled once, whatever the work and what it leaves.
fn run(
    py: Python<'_>,
    limits: &Limits,
    size: usize,
    work: &mut (dyn FnMut(Par<'_>) -> Result<(), Error> + Send),
) -> PyResult<()> {
    let raised: Mutex<Option<PyErr>> = Mutex::new(None);
    let raise = |error| *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    #[expect(clippy::disallowed_methods, reason = "the deadline is the door's")]
    let stop = |done: f64| {
        if let Some((seconds, instant)) = limits.deadline
            && Instant::now() >= instant
        {
            raise(PyTimeoutError::new_err(format!("deadline: {seconds} s have passed")));
            return true;
        }
        let asked = Python::attach(|py| {
            py.check_signals()?;
            match &limits.progress {
                Some(progress) => progress.call1(py, (done,)).map(|_| ()),
                None => Ok(()),
            }
        });
        match asked {
            Ok(()) => false,
            Err(error) => {
                raise(error);
                true
            }
        }
    };
    let threads = match limits.threads {
        Some(threads) => threads,
        None => settings::threads_for(size)?,
    };
    let par = Par { threads, level: settings::level(), stop: &stop };
    let mut work = || catch_unwind(AssertUnwindSafe(|| work(par)));
    let done = if size < SMALL { work() } else { py.detach(work) };
    match done {
        Ok(Ok(())) => {
            if let Some(progress) = &limits.progress {
                progress.call1(py, (1.0,))?;
            }
            Ok(())
        }
        Ok(Err(Error::Stopped)) => {
            let raised = raised.into_inner().unwrap_or_else(PoisonError::into_inner);
            Err(raised.unwrap_or_else(|| PyKeyboardInterrupt::new_err(())))
        }
        Ok(Err(error)) => Err(PyValueError::new_err(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(PyRuntimeError::new_err(format!("internal error in querist, please report it: {text}")))
        }
    }
}
