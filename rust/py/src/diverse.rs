//! Diverse batches.

use std::sync::{Mutex, PoisonError};

use numpy::{PyArray1, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use querist_core::density::work;
use querist_core::select::centres::{Metric, nearest as nearest_of};
use querist_core::select::k_center::KCenter as Known;

use crate::arguments;
use crate::call::{Limits, call};
use crate::capi::{self, Floats};
use crate::select::picks;

fn metric(name: &str) -> PyResult<Metric> {
    match name {
        "euclidean" => Ok(Metric::Euclidean),
        "cosine" => Ok(Metric::Cosine),
        _ => Err(PyValueError::new_err(format!(
            "metric: expected \"euclidean\" or \"cosine\", got \"{name}\""
        ))),
    }
}

fn features<'py>(given: &Bound<'py, PyAny>, argument: &str) -> PyResult<Bound<'py, PyUntypedArray>> {
    let array = arguments::array(given, argument)?;
    arguments::check_ndim(&array, 2, argument, "(n, d)")?;
    if array.shape()[1] == 0 {
        return Err(PyValueError::new_err(format!("{argument}: expected at least one column, got none")));
    }
    Ok(array)
}

/// What is known of a pool between picks.
#[pyclass(frozen)]
pub(crate) struct KCenter {
    features: Py<PyUntypedArray>,
    known: Mutex<Either>,
}

enum Either {
    Single(Known<f32>),
    Double(Known<f64>),
}

/// Work that lets go of the GIL whatever its size: another thread may hold the lock and want the GIL.
fn large(size: usize) -> usize {
    size.max(1 << 20)
}

#[pymethods]
impl KCenter {
    #[new]
    fn new(given: &Bound<'_, PyAny>, metric: &str) -> PyResult<Self> {
        let array = features(given, "features")?;
        let metric = self::metric(metric)?;
        let known = match capi::rows(&array, "features")?.0 {
            Floats::Single(rows) => Either::Single(Known::new(&rows, metric)),
            Floats::Double(rows) => Either::Double(Known::new(&rows, metric)),
        };
        Ok(Self { features: array.unbind(), known: Mutex::new(known) })
    }

    /// Makes centres of rows: of the pool, or of an array of the same width.
    #[pyo3(signature = (rows, outside=None))]
    fn add(&self, py: Python<'_>, rows: Vec<usize>, outside: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let pool = self.features.bind(py).clone();
        let array = outside.map_or(Ok(pool), |given| features(given, "labeled"))?;
        let given = capi::rows(&array, "labeled")?.0;
        let limits = Limits::new(Some(1), None)?;
        call(py, &limits, large(0), |_| {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *known, given) {
                (Either::Single(known), Floats::Single(given)) => known.add(&given, rows),
                (Either::Double(known), Floats::Double(given)) => known.add(&given, rows),
                // The house converts them first.
                _ => {}
            }
            Ok(())
        })
    }

    /// The next k picks, and the work done: distances and rungs.
    fn pick<'py>(
        &self,
        py: Python<'py>,
        k: &Bound<'py, PyAny>,
        weights: Option<&Bound<'py, PyArray1<f64>>>,
        available: Option<&Bound<'py, PyAny>>,
        n_threads: Option<i64>,
        deadline: Option<f64>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize, usize)> {
        let limits = Limits::new(n_threads, deadline)?;
        let array = self.features.bind(py);
        let k = arguments::count(k, "k")?;
        let mask = arguments::mask(available, array.shape()[0], "available")?;
        let mask = mask.as_deref();
        let weights = weights.map(PyArrayMethods::to_vec).transpose()?;
        let weights = weights.as_deref();
        let given = capi::rows(array, "features")?.0;
        let (found, done) = call(py, &limits, large(array.len()), |par| {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *known, &given) {
                (Either::Single(known), Floats::Single(rows)) => known.pick(rows, k, weights, mask, par),
                (Either::Double(known), Floats::Double(rows)) => known.pick(rows, k, weights, mask, par),
                _ => unreachable!("the features are those of the start"),
            }
        })?;
        let (indices, values, _) = picks(py, found, 0)?;
        Ok((indices, values, done.distances, done.rungs))
    }
}

/// For each row the nearest of some rows, by its place among them, and the distance to it.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn nearest<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    picks: Vec<usize>,
    metric: &str,
    n_threads: Option<i64>,
    deadline: Option<f64>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = self::features(features, "features")?;
    let metric = self::metric(metric)?;
    let size = work(array.shape()[0], picks.len(), array.shape()[1]);
    let (nearest, distances) = match capi::rows(&array, "features")?.0 {
        Floats::Single(rows) => call(py, &limits, size, |par| nearest_of(&rows, &picks, metric, par))?,
        Floats::Double(rows) => call(py, &limits, size, |par| nearest_of(&rows, &picks, metric, par))?,
    };
    let nearest: Result<Vec<i64>, _> = nearest.into_iter().map(i64::try_from).collect();
    Ok((PyArray1::from_vec(py, nearest?).into_any(), PyArray1::from_vec(py, distances).into_any()))
}
