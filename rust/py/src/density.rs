//! Density.

use numpy::{Element, PyArray1, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use querist_core::density::sparse::{self, Sparse};
use querist_core::density::{linear, nearest, pairwise, suits_single, work};
use querist_core::exact::Metric;
use querist_core::real::Real;
use querist_core::rows::Rows;
use querist_core::spread::variance;
use querist_core::tile::matrix_product;

use crate::arguments;
use crate::call::{Limits, call};
use crate::capi::{self, Floats, Pair};
use crate::matrix::{Csr, Matrix};
use crate::score::outputs;

fn unknown(metric: &str, expected: &str) -> PyErr {
    PyValueError::new_err(format!("metric: expected {expected}, got \"{metric}\""))
}

fn options(metric: &str, include_self: bool, shift: bool) -> PyResult<linear::Options> {
    let similarity = match metric {
        "cosine" => linear::Similarity::Cosine,
        "dot" => linear::Similarity::Dot,
        "sqeuclidean" => linear::Similarity::SquaredDistance,
        _ => return Err(unknown(metric, "\"cosine\", \"dot\" or \"sqeuclidean\"")),
    };
    Ok(linear::Options { similarity, include_self, shift })
}

/// The densities that need the mean row only.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "a public signature")]
pub(crate) fn linear_density<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    metric: &str,
    reference: Option<&Bound<'py, PyAny>>,
    include_self: bool,
    shift: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let limits = Limits::new(n_threads, deadline)?;
    let options = options(metric, include_self, arguments::flag(shift, "shift")?)?;
    let pool = Matrix::of(features, "features")?;
    let others = reference.map(|reference| Matrix::of(reference, "reference")).transpose()?;
    let out = out.map(std::slice::from_ref);
    let arrays: Vec<_> = std::iter::once(&pool).chain(&others).flat_map(Matrix::arrays).collect();
    match (&pool, &others) {
        (Matrix::Dense(_), None | Some(Matrix::Dense(_))) => {
            let others = others.as_ref().map(|others| others.rows("reference")).transpose()?;
            match Pair::of(pool.rows("features")?, others) {
                Pair::Single(rows, others) => {
                    linear_of(py, &arrays, &rows, others.as_ref(), options, out, &limits)
                }
                Pair::Double(rows, others) => {
                    linear_of(py, &arrays, &rows, others.as_ref(), options, out, &limits)
                }
            }
        }
        (Matrix::Sparse(csr), None) => sparse_of(py, &arrays, (csr, None), options, out, &limits),
        (Matrix::Sparse(csr), Some(Matrix::Sparse(others))) => {
            sparse_of(py, &arrays, (csr, Some(others)), options, out, &limits)
        }
        _ => {
            let text = "reference: expected a sparse matrix if and only if features is one, got one of each";
            Err(PyValueError::new_err(text))
        }
    }
}

fn linear_of<'py, T: Real + Element>(
    py: Python<'py>,
    arrays: &[&Bound<'py, PyUntypedArray>],
    rows: &Rows<'_, T>,
    reference: Option<&Rows<'_, T>>,
    options: linear::Options,
    out: Option<&[Bound<'py, PyAny>]>,
    limits: &Limits,
) -> PyResult<Bound<'py, PyAny>> {
    let (mut densities, mut slices) = outputs::<T>(py, arrays, rows.len(), 1, out)?;
    let slice = slices.pop().unwrap_or_default();
    let size = arrays.iter().map(|array| array.len()).fold(0, usize::saturating_add);
    call(py, limits, size, |par| linear::density(rows, reference, options, slice, par))?;
    Ok(densities.swap_remove(0))
}

fn sparse_of<'py>(
    py: Python<'py>,
    arrays: &[&Bound<'py, PyUntypedArray>],
    (csr, others): (&Csr<'py>, Option<&Csr<'py>>),
    options: linear::Options,
    out: Option<&[Bound<'py, PyAny>]>,
    limits: &Limits,
) -> PyResult<Bound<'py, PyAny>> {
    fn run<'py, T: Real + Element>(
        py: Python<'py>,
        arrays: &[&Bound<'py, PyUntypedArray>],
        (rows, reference): (Sparse<'_, T>, Option<Sparse<'_, T>>),
        options: linear::Options,
        out: Option<&[Bound<'py, PyAny>]>,
        limits: &Limits,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (mut densities, mut slices) = outputs::<T>(py, arrays, rows.len(), 1, out)?;
        let slice = slices.pop().unwrap_or_default();
        let size = arrays.iter().map(|array| array.len()).fold(0, usize::saturating_add);
        call(py, limits, size, |par| sparse::density(&rows, reference.as_ref(), options, slice, par))?;
        Ok(densities.swap_remove(0))
    }
    let other_data = others.map(|others| capi::rows(&others.data, "reference")).transpose()?;
    match Pair::of(capi::rows(&csr.data, "features")?.0, other_data.map(|(floats, _)| floats)) {
        Pair::Single(data, other) => {
            let reference = others.zip(other).map(|(others, data)| others.sparse(data, "reference"));
            let rows = (csr.sparse(data, "features")?, reference.transpose()?);
            run(py, arrays, rows, options, out, limits)
        }
        Pair::Double(data, other) => {
            let reference = others.zip(other).map(|(others, data)| others.sparse(data, "reference"));
            let rows = (csr.sparse(data, "features")?, reference.transpose()?);
            run(py, arrays, rows, options, out, limits)
        }
    }
}

/// The mean of a kernel of the distance; also the sum of squares about it if asked for.
#[pyfunction]
#[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn pairwise_density<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    metric: &str,
    gamma: f64,
    reference: Option<&Bound<'py, PyAny>>,
    own: Option<Vec<usize>>,
    include_self: bool,
    spreads: bool,
    out: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
    let limits = Limits::new(n_threads, deadline)?.with_progress(progress)?;
    let array = arguments::features(features, "features")?;
    let reference = reference.map(|reference| arguments::features(reference, "reference")).transpose()?;
    let similarity = match metric {
        "euclidean" => pairwise::Similarity::Euclidean,
        "rbf" => pairwise::Similarity::Rbf { gamma },
        _ => return Err(unknown(metric, "\"euclidean\" or \"rbf\"")),
    };
    let request = pairwise::Request { similarity, include_self, own: own.as_deref(), spreads };
    let out = out.map(std::slice::from_ref);
    let arrays: Vec<_> = std::iter::once(&array).chain(&reference).collect();
    let others = reference.as_ref().map(|others| capi::rows(others, "reference")).transpose()?;
    match Pair::of(capi::rows(&array, "features")?.0, others.map(|(floats, _)| floats)) {
        Pair::Single(rows, others) if metric == "rbf" && !suits_single(gamma) => {
            let (rows, others) = (rows.widened(), others.map(Rows::widened));
            pairs::<_, f32>(py, &arrays, &rows, others.as_ref(), &request, out, &limits)
        }
        Pair::Single(rows, others) => {
            pairs::<_, f32>(py, &arrays, &rows, others.as_ref(), &request, out, &limits)
        }
        Pair::Double(rows, others) => {
            pairs::<_, f64>(py, &arrays, &rows, others.as_ref(), &request, out, &limits)
        }
    }
}

fn pairs<'py, T: Real, O: Real + Element>(
    py: Python<'py>,
    arrays: &[&Bound<'py, PyUntypedArray>],
    rows: &Rows<'_, T>,
    reference: Option<&Rows<'_, T>>,
    request: &pairwise::Request<'_>,
    out: Option<&[Bound<'py, PyAny>]>,
    limits: &Limits,
) -> PyResult<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
    let (mut densities, mut slices) = outputs::<O>(py, arrays, rows.len(), 1, out)?;
    let slice = slices.pop().unwrap_or_default();
    let size = work(rows.len(), reference.map_or(rows.len(), Rows::len), rows.width());
    let spreads = call(py, limits, size, |par| pairwise::density(rows, reference, request, slice, par))?;
    let spreads = request.spreads.then(|| PyArray1::from_vec(py, spreads).into_any());
    Ok((densities.swap_remove(0), spreads))
}

/// The variance of all numbers of a matrix.
#[pyfunction]
pub(crate) fn spread(
    py: Python<'_>,
    features: &Bound<'_, PyAny>,
    n_threads: Option<&Bound<'_, PyAny>>,
    deadline: Option<&Bound<'_, PyAny>>,
) -> PyResult<f64> {
    let limits = Limits::new(n_threads, deadline)?;
    let matrix = Matrix::of(features, "features")?;
    match matrix.rows("features")? {
        Floats::Single(rows) => call(py, &limits, matrix.len(), |par| variance(&rows, "features", par)),
        Floats::Double(rows) => call(py, &limits, matrix.len(), |par| variance(&rows, "features", par)),
    }
}

/// The products of all rows of two float32 matrices: what benches and tests see of the tile.
#[pyfunction]
pub(crate) fn products<'py>(
    py: Python<'py>,
    left: &Bound<'py, PyAny>,
    right: &Bound<'py, PyAny>,
    n_threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let limits = Limits::new(n_threads, None)?;
    let (left, right) = (arguments::features(left, "left")?, arguments::features(right, "right")?);
    let (n, m) = (left.shape()[0], right.shape()[0]);
    match (capi::rows(&left, "left")?.0, capi::rows(&right, "right")?.0) {
        (Floats::Single(x), Floats::Single(y)) => {
            let (out, slice) = capi::output::<f32>(py, n.saturating_mul(m))?;
            call(py, &limits, work(n, m, x.width()), |par| matrix_product(&x, &y, slice, par))?;
            out.into_any().call_method1("reshape", ((n, m),))
        }
        _ => Err(PyValueError::new_err("left, right: expected two matrices of float32")),
    }
}

/// 1 / the mean distance to the k nearest.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "a public signature")]
pub(crate) fn knn_density<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    metric: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    progress: Option<&Bound<'py, PyAny>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let limits = Limits::new(n_threads, deadline)?.with_progress(progress)?;
    let array = arguments::features(features, "features")?;
    let k = arguments::count(k, "k")?;
    let metric = arguments::metric(metric)?;
    let out = out.map(std::slice::from_ref);
    match capi::rows(&array, "features")?.0 {
        Floats::Single(rows) => neighbours(py, &array, &rows, k, metric, out, &limits),
        Floats::Double(rows) => neighbours(py, &array, &rows, k, metric, out, &limits),
    }
}

fn neighbours<'py, T: Real + Element>(
    py: Python<'py>,
    array: &Bound<'py, PyUntypedArray>,
    rows: &Rows<'_, T>,
    k: usize,
    metric: Metric,
    out: Option<&[Bound<'py, PyAny>]>,
    limits: &Limits,
) -> PyResult<Bound<'py, PyAny>> {
    let n = rows.len();
    let (mut arrays, mut slices) = outputs::<T>(py, &[array], n, 1, out)?;
    let slice = slices.pop().unwrap_or_default();
    let size = work(n, n, rows.width());
    call(py, limits, size, |par| nearest::knn_density(rows, k, metric, slice, par))?;
    Ok(arrays.swap_remove(0))
}
