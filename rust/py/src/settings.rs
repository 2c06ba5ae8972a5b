//! Threads and SIMD level of this process.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyImportError, PyValueError};
use pyo3::prelude::*;
use querist_core::simd::Level;

use crate::arguments;

/// What `set_num_threads` has said; 0 is nothing. An atomic, not a lock: a fork may come at any time.
static THREADS: AtomicUsize = AtomicUsize::new(0);

static LEVEL: OnceLock<Level> = OnceLock::new();

/// Elements under which one thread does it all, and how many there are need not be found out.
const ONE_THREAD: usize = 1 << 17;

/// The SIMD level that kernels run at.
pub(crate) fn level() -> Level {
    *LEVEL.get_or_init(Level::best)
}

/// Takes the SIMD level from `QUERIST_SIMD`, once.
pub(crate) fn read_level() -> PyResult<()> {
    let level = match std::env::var("QUERIST_SIMD") {
        Ok(name) if !name.is_empty() => match Level::from_name(&name) {
            Some(level) if level.is_supported() => level,
            Some(_) => {
                return Err(PyImportError::new_err(format!("QUERIST_SIMD={name}: this machine lacks it")));
            }
            None => {
                return Err(PyImportError::new_err(format!(
                    "QUERIST_SIMD: expected baseline, avx2 or avx512, got {name}"
                )));
            }
        },
        _ => Level::best(),
    };
    LEVEL.get_or_init(|| level);
    Ok(())
}

/// The threads that a call of this many elements may use.
pub(crate) fn threads_for(size: usize) -> PyResult<usize> {
    if size <= ONE_THREAD { Ok(1) } else { threads() }
}

/// In this order: `set_num_threads`, `QUERIST_NUM_THREADS`, `OMP_NUM_THREADS`, the processors that this
/// process may use.
fn threads() -> PyResult<usize> {
    let set = THREADS.load(Ordering::Relaxed);
    if set > 0 {
        return Ok(set);
    }
    if let Ok(text) = std::env::var("QUERIST_NUM_THREADS")
        && !text.is_empty()
    {
        return match text.trim().parse() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(PyValueError::new_err(format!(
                "QUERIST_NUM_THREADS: expected a positive number, got {text}"
            ))),
        };
    }
    // OpenMP allows a list, a number for each level of nesting; what it cannot read is not ours to judge.
    let omp = std::env::var("OMP_NUM_THREADS").ok();
    if let Some(n) = omp.and_then(|text| text.split(',').next()?.trim().parse().ok()).filter(|&n| n > 0) {
        return Ok(n);
    }
    Ok(processors())
}

/// Affinity and cgroup quota, as the standard library reads them. That takes 30 µs, and so is kept for a second.
fn processors() -> usize {
    static KEPT: AtomicU64 = AtomicU64::new(0);
    let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let kept = KEPT.load(Ordering::Relaxed);
    if kept >> 16 == second {
        return usize::try_from(kept & 0xffff).unwrap_or(1);
    }
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get().min(0xffff));
    KEPT.store(second << 16 | processors as u64, Ordering::Relaxed);
    processors
}

/// Sets the number of threads for all later calls; None goes back to the environment and the machine.
#[pyfunction]
pub(crate) fn set_num_threads(n_threads: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    THREADS.store(arguments::threads(n_threads)?.unwrap_or(0), Ordering::Relaxed);
    Ok(())
}

/// The number of threads that a large call uses.
#[pyfunction]
pub(crate) fn get_num_threads() -> PyResult<usize> {
    threads()
}

/// The name of the SIMD level that kernels run at.
#[pyfunction]
pub(crate) fn simd_level() -> &'static str {
    level().name()
}
