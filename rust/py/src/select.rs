//! Selection.

use numpy::{Element, PyArray1, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use querist_core::select::{self as core, Picks, Stream};

use crate::arguments::{self, Pickable, Quota};
use crate::call::{Limits, call};
use crate::capi::{self, Floats};

/// Picks as two arrays, and a counter.
pub(crate) fn picks<T: Element>(
    py: Python<'_>,
    picks: Picks<T>,
    counter: usize,
) -> PyResult<(Bound<'_, PyAny>, Bound<'_, PyAny>, usize)> {
    let indices: Result<Vec<i64>, _> = picks.indices.into_iter().map(i64::try_from).collect();
    Ok((
        PyArray1::from_vec(py, indices?).into_any(),
        PyArray1::from_vec(py, picks.values).into_any(),
        counter,
    ))
}

/// The k highest scores.
#[pyfunction]
pub(crate) fn top_k<'py>(
    py: Python<'py>,
    scores: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    available: Option<&Bound<'py, PyAny>>,
    quota: Option<Quota<'py>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = arguments::array(scores, "scores")?;
    arguments::check_ndim(&array, 1, "scores", "(n,)")?;
    let k = arguments::count(k, "k")?;
    let n = array.len();
    let pickable = Pickable::new(available, quota, n)?;
    let open = pickable.open();
    match capi::rows(&array, "scores")?.0 {
        Floats::Single(rows) => picks(py, call(py, &limits, n, |par| core::top_k(&rows, k, &open, par))?, 0),
        Floats::Double(rows) => picks(py, call(py, &limits, n, |par| core::top_k(&rows, k, &open, par))?, 0),
    }
}

/// A batch drawn with chances ∝ score^β.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "a public signature")]
pub(crate) fn power<'py>(
    py: Python<'py>,
    scores: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    beta: f64,
    seed: u64,
    available: Option<&Bound<'py, PyAny>>,
    quota: Option<Quota<'py>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = arguments::array(scores, "scores")?;
    arguments::check_ndim(&array, 1, "scores", "(n,)")?;
    let k = arguments::count(k, "k")?;
    let n = array.len();
    let pickable = Pickable::new(available, quota, n)?;
    let open = pickable.open();
    match capi::rows(&array, "scores")?.0 {
        Floats::Single(rows) => picks(
            py,
            call(py, &limits, n.saturating_mul(16), |par| core::power(&rows, k, beta, seed, &open, par))?,
            0,
        ),
        Floats::Double(rows) => picks(
            py,
            call(py, &limits, n.saturating_mul(16), |par| core::power(&rows, k, beta, seed, &open, par))?,
            0,
        ),
    }
}

/// What a stream leaves for the next call: its last scores, how many items it had, and how many were asked.
type Past<'py> = (Bound<'py, PyArray1<f64>>, usize, usize);

/// Decides on the items of a stream as they come.
#[pyfunction]
pub(crate) fn quantile_filter<'py>(
    py: Python<'py>,
    scores: &Bound<'py, PyAny>,
    budget: f64,
    window: usize,
    tolerance: f64,
    past: Past<'py>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, Past<'py>)> {
    let limits = Limits::new(None, deadline)?;
    let array = arguments::array(scores, "scores")?;
    arguments::check_ndim(&array, 1, "scores", "(n,)")?;
    let n = array.len();
    let (last, observed, asked) = past;
    let mut stream = Stream::new(budget, window, tolerance).after(&last.to_vec()?, observed, asked);
    let (indices, values, _) = match capi::rows(&array, "scores")?.0 {
        Floats::Single(rows) => {
            picks(py, call(py, &limits, n.saturating_mul(16), |par| stream.pick(&rows, par))?, 0)?
        }
        Floats::Double(rows) => {
            picks(py, call(py, &limits, n.saturating_mul(16), |par| stream.pick(&rows, par))?, 0)?
        }
    };
    let (observed, asked) = stream.counts();
    Ok((indices, values, (PyArray1::from_iter(py, stream.window()), observed, asked)))
}
