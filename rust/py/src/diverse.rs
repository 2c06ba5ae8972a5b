//! Diverse batches.

use std::sync::{Mutex, PoisonError};

use numpy::{PyArray1, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use querist_core::density::work;
use querist_core::error::Error;
use querist_core::real::Real;
use querist_core::rows::Rows;
use querist_core::select as core;
use querist_core::select::centres::{Centres, Metric, nearest as nearest_of};
use querist_core::select::d2_sampling::{badge as badge_of, k_means_pp as draw};
use querist_core::select::facility_location::{Similarity, facility_location as cover};
use querist_core::select::k_center::KCenter as Known;
use querist_core::select::relevance::{Rule, greedy};

use crate::arguments;
use crate::call::{Limits, call};
use crate::capi::{self, Floats};
use crate::score::tolerance;
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
        let argument = if outside.is_some() { "labeled" } else { "features" };
        call(py, &limits, large(0), |_| {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *known, given) {
                (Either::Single(known), Floats::Single(given)) => known.add(&given, rows, argument),
                (Either::Double(known), Floats::Double(given)) => known.add(&given, rows, argument),
                _ => unreachable!("the house converts them first"),
            }
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

/// Rows of outside as centres, in the pool's float type; the house converts them.
fn centres<T: Real>(
    labelled: &[usize],
    rows: &Rows<'_, T>,
    outside: Option<&Rows<'_, T>>,
    metric: Metric,
) -> Result<Centres<T>, Error> {
    let mut centres = Centres::of(rows, labelled.iter().copied(), metric, "features")?;
    if let Some(outside) = outside {
        centres.extend(outside, 0..outside.len(), metric, "labeled")?;
    }
    Ok(centres)
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
    n_threads: Option<i64>,
    deadline: Option<f64>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = arguments::array(scores, "scores")?;
    arguments::check_ndim(&array, 1, "scores", "(n,)")?;
    let k = arguments::count(k, "k")?;
    let n = array.len();
    let mask = arguments::mask(available, n, "available")?;
    let mask = mask.as_deref();
    match capi::rows(&array, "scores")?.0 {
        Floats::Single(rows) => {
            picks(py, call(py, &limits, n * 16, |par| core::power(&rows, k, beta, seed, mask, par))?, 0)
        }
        Floats::Double(rows) => {
            picks(py, call(py, &limits, n * 16, |par| core::power(&rows, k, beta, seed, mask, par))?, 0)
        }
    }
}

/// Maximal marginal relevance ("mmr") or ranked batch, by the name of the rule.
#[pyfunction]
#[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn relevant<'py>(
    py: Python<'py>,
    scores: &Bound<'py, PyArray1<f64>>,
    features: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    rule: &str,
    trade_off: f64,
    labelled: Vec<usize>,
    outside: Option<&Bound<'py, PyAny>>,
    available: Option<&Bound<'py, PyAny>>,
    n_threads: Option<i64>,
    deadline: Option<f64>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = self::features(features, "features")?;
    let k = arguments::count(k, "k")?;
    let n = array.shape()[0];
    let mask = arguments::mask(available, n, "available")?;
    let mask = mask.as_deref();
    let outside = outside.map(|given| self::features(given, "labeled")).transpose()?;
    let others =
        outside.as_ref().map(|array| capi::rows(array, "labeled")).transpose()?.map(|(rows, _)| rows);
    let scores = scores.to_vec()?;
    let n_labelled = labelled.len() + outside.as_ref().map_or(0, |array| array.shape()[0]);
    let (rule, metric) = match rule {
        "mmr" => (Rule::Mmr { trade_off }, Metric::Cosine),
        _ => (Rule::RankedBatch { unlabelled: n - labelled.len(), labelled: n_labelled }, Metric::Euclidean),
    };
    let size = large(array.len());
    let (found, distances) = match (capi::rows(&array, "features")?.0, others) {
        (Floats::Single(rows), None) => call(py, &limits, size, |par| {
            let centres = centres(&labelled, &rows, None, metric)?;
            greedy(&rows, &scores, &centres, rule, k, mask, par)
        })?,
        (Floats::Single(rows), Some(Floats::Single(others))) => call(py, &limits, size, |par| {
            let centres = centres(&labelled, &rows, Some(&others), metric)?;
            greedy(&rows, &scores, &centres, rule, k, mask, par)
        })?,
        (rows, others) => call(py, &limits, size, |par| {
            let (rows, others) = (rows.wide(), others.map(Floats::wide));
            let centres = centres(&labelled, &rows, others.as_ref(), metric)?;
            greedy(&rows, &scores, &centres, rule, k, mask, par)
        })?,
    };
    picks(py, found, distances)
}

/// D² sampling of rows.
#[pyfunction]
#[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn k_means_pp<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    labelled: Vec<usize>,
    outside: Option<&Bound<'py, PyAny>>,
    weights: Option<&Bound<'py, PyArray1<f64>>>,
    available: Option<&Bound<'py, PyAny>>,
    seed: u64,
    n_threads: Option<i64>,
    deadline: Option<f64>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = self::features(features, "features")?;
    let k = arguments::count(k, "k")?;
    let mask = arguments::mask(available, array.shape()[0], "available")?;
    let mask = mask.as_deref();
    let outside = outside.map(|given| self::features(given, "labeled")).transpose()?;
    let others =
        outside.as_ref().map(|array| capi::rows(array, "labeled")).transpose()?.map(|(rows, _)| rows);
    let weights = weights.map(PyArrayMethods::to_vec).transpose()?;
    let weights = weights.as_deref();
    let size = large(array.len());
    let metric = Metric::Euclidean;
    let found = match (capi::rows(&array, "features")?.0, others) {
        (Floats::Single(rows), None) => call(py, &limits, size, |par| {
            draw(&rows, k, &centres(&labelled, &rows, None, metric)?, weights, mask, seed, par)
        })?,
        (Floats::Single(rows), Some(Floats::Single(others))) => call(py, &limits, size, |par| {
            draw(&rows, k, &centres(&labelled, &rows, Some(&others), metric)?, weights, mask, seed, par)
        })?,
        (rows, others) => call(py, &limits, size, |par| {
            let (rows, others) = (rows.wide(), others.map(Floats::wide));
            draw(&rows, k, &centres(&labelled, &rows, others.as_ref(), metric)?, weights, mask, seed, par)
        })?,
    };
    picks(py, found, 0)
}

/// Picks that together stand for the pool.
#[pyfunction]
#[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn facility_location<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    kernel: &str,
    gamma: f64,
    labelled: Vec<usize>,
    outside: Option<&Bound<'py, PyAny>>,
    weights: Option<&Bound<'py, PyArray1<f64>>>,
    available: Option<&Bound<'py, PyAny>>,
    n_threads: Option<i64>,
    deadline: Option<f64>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = self::features(features, "features")?;
    let k = arguments::count(k, "k")?;
    let mask = arguments::mask(available, array.shape()[0], "available")?;
    let mask = mask.as_deref();
    let outside = outside.map(|given| self::features(given, "labeled")).transpose()?;
    let others =
        outside.as_ref().map(|array| capi::rows(array, "labeled")).transpose()?.map(|(rows, _)| rows);
    let weights = weights.map(PyArrayMethods::to_vec).transpose()?;
    let weights = weights.as_deref();
    let (kind, metric) = match kernel {
        "rbf" => (Similarity::Rbf { gamma }, Metric::Euclidean),
        "cosine" => (Similarity::Cosine, Metric::Cosine),
        _ => {
            let text = format!("kernel: expected \"rbf\" or \"cosine\", got \"{kernel}\"");
            return Err(PyValueError::new_err(text));
        }
    };
    let size = work(array.shape()[0], array.shape()[0], array.shape()[1]);
    let (found, evaluated) = match (capi::rows(&array, "features")?.0, others) {
        (Floats::Single(rows), None) => call(py, &limits, size, |par| {
            cover(&rows, k, &centres(&labelled, &rows, None, metric)?, weights, kind, mask, par)
        })?,
        (Floats::Single(rows), Some(Floats::Single(others))) => call(py, &limits, size, |par| {
            cover(&rows, k, &centres(&labelled, &rows, Some(&others), metric)?, weights, kind, mask, par)
        })?,
        (rows, others) => call(py, &limits, size, |par| {
            let (rows, others) = (rows.wide(), others.map(Floats::wide));
            cover(&rows, k, &centres(&labelled, &rows, others.as_ref(), metric)?, weights, kind, mask, par)
        })?,
    };
    picks(py, found, evaluated)
}

/// D² sampling of gradients.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "a public signature")]
pub(crate) fn badge<'py>(
    py: Python<'py>,
    proba: &Bound<'py, PyAny>,
    features: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    available: Option<&Bound<'py, PyAny>>,
    seed: u64,
    n_threads: Option<i64>,
    deadline: Option<f64>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)> {
    let limits = Limits::new(n_threads, deadline)?;
    let proba = arguments::array(proba, "proba")?;
    arguments::check_ndim(&proba, 2, "proba", "(n, c)")?;
    let array = self::features(features, "features")?;
    let k = arguments::count(k, "k")?;
    let mask = arguments::mask(available, array.shape()[0], "available")?;
    let mask = mask.as_deref();
    let (given, dtype) = capi::rows(&proba, "proba")?;
    let settings = (seed, tolerance(dtype));
    let size = large(proba.len() + array.len());
    let found = match (given, capi::rows(&array, "features")?.0) {
        (Floats::Single(proba), Floats::Single(rows)) => {
            call(py, &limits, size, |par| badge_of(&proba, &rows, k, mask, settings, par))?
        }
        (proba, rows) => {
            let (proba, rows) = (proba.wide(), rows.wide());
            call(py, &limits, size, |par| badge_of(&proba, &rows, k, mask, settings, par))?
        }
    };
    picks(py, found, 0)
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
