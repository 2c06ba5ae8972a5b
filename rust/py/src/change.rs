//! Model change.

use numpy::{Element, PyArray1, PyArray2, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use querist_core::change::{self as core, Posterior};
use querist_core::real::Real;
use querist_core::rows::Rows;
use querist_core::score::{GradientRequest, expected_gradient_length as gradient_length};

use crate::arguments::{self, Pickable, Quota};
use crate::call::{Limits, call};
use crate::capi::{self, Floats};
use crate::score::{outputs, tolerance_of};
use crate::select::picks;

/// The expected gradient length of each row.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "a public signature")]
pub(crate) fn expected_gradient_length<'py>(
    py: Python<'py>,
    proba: &Bound<'py, PyAny>,
    features: &Bound<'py, PyAny>,
    bias: &Bound<'py, PyAny>,
    squared: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    invalid: &Bound<'py, PyAny>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let limits = Limits::new(n_threads, deadline)?;
    let proba = arguments::array(proba, "proba")?;
    arguments::check_ndim(&proba, 2, "proba", "(n, c)")?;
    let features = arguments::features(features, "features")?;
    let (rows, dtype) = capi::rows(&proba, "proba")?;
    let (vectors, _) = capi::rows(&features, "features")?;
    let nan_if_invalid = arguments::nan_if_invalid(invalid)?;
    let (bias, squared) = (arguments::flag(bias, "bias")?, arguments::flag(squared, "squared")?);
    let request = GradientRequest { bias, squared, tolerance: tolerance_of(dtype), nan_if_invalid };
    let out = out.map(std::slice::from_ref);
    match (rows, vectors) {
        (Floats::Single(rows), Floats::Single(vectors)) => {
            lengths(py, (&proba, &features), &rows, &vectors, request, out, &limits)
        }
        (rows, vectors) => {
            let (rows, vectors) = (rows.wide(), vectors.wide());
            lengths(py, (&proba, &features), &rows, &vectors, request, out, &limits)
        }
    }
}

fn lengths<'py, T: Real + Element>(
    py: Python<'py>,
    (proba, features): (&Bound<'py, PyUntypedArray>, &Bound<'py, PyUntypedArray>),
    rows: &Rows<'_, T>,
    vectors: &Rows<'_, T>,
    request: GradientRequest,
    out: Option<&[Bound<'py, PyAny>]>,
    limits: &Limits,
) -> PyResult<Bound<'py, PyAny>> {
    let (mut arrays, mut slices) = outputs::<T>(py, &[proba, features], rows.len(), 1, out)?;
    let slice = slices.pop().unwrap_or_default();
    call(py, limits, proba.len() + features.len(), |par| {
        gradient_length(rows, vectors, request, slice, par).map_err(arguments::or_nan)
    })?;
    Ok(arrays.swap_remove(0))
}

/// Σ x xᵀ over the rows.
#[pyfunction]
pub(crate) fn gram<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = arguments::features(features, "features")?;
    let d = array.shape()[1];
    let rows = capi::wide_rows(&array, "features")?;
    let sum =
        call(py, &limits, array.len().saturating_mul(d / 8 + 1), |par| core::gram(&rows, "features", par))?;
    PyArray1::from_vec(py, sum).into_any().call_method1("reshape", ((d, d),))
}

/// The numbers of a small matrix.
fn matrix(given: &Bound<'_, PyArray2<f64>>) -> PyResult<Vec<f64>> {
    Ok(given.to_vec()?)
}

/// The fall of the mean predictive variance by each row's label.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "a public signature")]
pub(crate) fn variance_reduction<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    root: &Bound<'py, PyArray2<f64>>,
    moment: &Bound<'py, PyArray2<f64>>,
    noise: f64,
    out: Option<&Bound<'py, PyAny>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = arguments::features(features, "features")?;
    let (root, moment) = (matrix(root)?, matrix(moment)?);
    let posterior = Posterior { root: &root, moment: &moment, noise };
    let out = out.map(std::slice::from_ref);
    match capi::rows(&array, "features")?.0 {
        Floats::Single(rows) => gains::<f32>(py, &array, &rows.widened(), &posterior, out, &limits),
        Floats::Double(rows) => gains::<f64>(py, &array, &rows, &posterior, out, &limits),
    }
}

fn gains<'py, T: Real + Element>(
    py: Python<'py>,
    array: &Bound<'py, PyUntypedArray>,
    rows: &Rows<'_, f64>,
    posterior: &Posterior<'_>,
    out: Option<&[Bound<'py, PyAny>]>,
    limits: &Limits,
) -> PyResult<Bound<'py, PyAny>> {
    let (mut arrays, mut slices) = outputs::<T>(py, &[array], rows.len(), 1, out)?;
    let slice = slices.pop().unwrap_or_default();
    let size = array.len().saturating_mul(rows.width() / 4 + 1);
    call(py, limits, size, |par| core::variance_reduction(rows, posterior, slice, par))?;
    Ok(arrays.swap_remove(0))
}

/// A batch picked greedily by the fall of the mean predictive variance.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "a public signature")]
pub(crate) fn variance_reduction_picks<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    root: &Bound<'py, PyArray2<f64>>,
    moment: &Bound<'py, PyArray2<f64>>,
    noise: f64,
    k: &Bound<'py, PyAny>,
    available: Option<&Bound<'py, PyAny>>,
    quota: Option<Quota<'py>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = arguments::features(features, "features")?;
    let rows = capi::wide_rows(&array, "features")?;
    let k = arguments::count(k, "k")?;
    let pickable = Pickable::new(available, quota, rows.len())?;
    let (root, moment) = (matrix(root)?, matrix(moment)?);
    let posterior = Posterior { root: &root, moment: &moment, noise };
    let size = array.len().saturating_mul(rows.width() / 4 + 1);
    let (found, scored) =
        call(py, &limits, size, |par| core::greedy_batch(&rows, &posterior, k, pickable.open(), par))?;
    picks(py, found, scored)
}
