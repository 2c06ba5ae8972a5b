//! Row scores.

use numpy::{Element, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use querist_core::real::Real;
use querist_core::rows::Rows;
use querist_core::score::{self as core, Request, Score};

use crate::arguments;
use crate::call::{Limits, call};
use crate::capi::{self, Dtype, Floats};
use crate::select::picks;

/// How far probabilities of a dtype may be from [0, 1] and their sum from 1. float64 is often float32, widened.
pub(crate) fn tolerance_of(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::Float32 | Dtype::Float64 => 1e-3,
        Dtype::Float16 => 5e-3,
        Dtype::Bfloat16 => 5e-2,
    }
}

/// One score of each row.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "a public signature")]
pub(crate) fn score<'py>(
    py: Python<'py>,
    proba: &Bound<'py, PyAny>,
    name: &str,
    from_logits: &Bound<'py, PyAny>,
    normalize: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    invalid: &Bound<'py, PyAny>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let names = [arguments::score(name, "name")?];
    let limits = Limits::new(n_threads, deadline)?;
    let mut all = score_rows(
        py,
        proba,
        &names,
        (from_logits, normalize),
        out.map(std::slice::from_ref),
        (invalid, None),
        &limits,
    )?;
    all.pop().ok_or_else(|| PyValueError::new_err("no score"))
}

/// Several scores of each row, in one read.
#[pyfunction]
#[pyo3(signature = (proba, names, from_logits, normalize, out, invalid, n_threads, deadline, tolerance=None))]
#[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn scores<'py>(
    py: Python<'py>,
    proba: &Bound<'py, PyAny>,
    names: Vec<String>,
    from_logits: &Bound<'py, PyAny>,
    normalize: &Bound<'py, PyAny>,
    out: Option<Vec<Bound<'py, PyAny>>>,
    invalid: &Bound<'py, PyAny>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
    tolerance: Option<f64>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let names: Vec<Score> =
        names.iter().map(|name| arguments::score(name, "names")).collect::<PyResult<_>>()?;
    let limits = Limits::new(n_threads, deadline)?;
    score_rows(py, proba, &names, (from_logits, normalize), out.as_deref(), (invalid, tolerance), &limits)
}

fn score_rows<'py>(
    py: Python<'py>,
    proba: &Bound<'py, PyAny>,
    scores: &[Score],
    (from_logits, normalize): (&Bound<'py, PyAny>, &Bound<'py, PyAny>),
    out: Option<&[Bound<'py, PyAny>]>,
    (invalid, tolerance): (&Bound<'py, PyAny>, Option<f64>),
    limits: &Limits,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let argument = "proba";
    let array = arguments::array(proba, argument)?;
    arguments::check_ndim(&array, 2, argument, "(n, c)")?;
    let (floats, dtype) = capi::rows(&array, argument)?;
    let request = Request {
        argument,
        scores,
        from_logits: arguments::flag(from_logits, "from_logits")?,
        normalize: arguments::flag(normalize, "normalize")?,
        tolerance: tolerance.unwrap_or_else(|| tolerance_of(dtype)),
        nan_if_invalid: arguments::nan_if_invalid(invalid)?,
    };
    match floats {
        Floats::Single(rows) => fill(py, &array, &rows, &request, out, limits),
        Floats::Double(rows) => fill(py, &array, &rows, &request, out, limits),
    }
}

fn fill<'py, T: Real + Element>(
    py: Python<'py>,
    array: &Bound<'py, PyUntypedArray>,
    rows: &Rows<'_, T>,
    request: &Request<'_>,
    out: Option<&[Bound<'py, PyAny>]>,
    limits: &Limits,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let (arrays, slices) = outputs(py, &[array], rows.len(), request.scores.len(), out)?;
    call(py, limits, array.len(), move |par| {
        core::scores(rows, request, slices, par).map_err(arguments::or_logits)
    })?;
    Ok(arrays)
}

/// Arrays, and their memory to be written.
type Outputs<'a, 'py, T> = (Vec<Bound<'py, PyAny>>, Vec<&'a mut [T]>);

/// `count` outputs of n numbers: the given ones, apart from the inputs, or new ones.
pub(crate) fn outputs<'a, 'py, T: Real + Element>(
    py: Python<'py>,
    inputs: &[&Bound<'py, PyUntypedArray>],
    n: usize,
    count: usize,
    out: Option<&'a [Bound<'py, PyAny>]>,
) -> PyResult<Outputs<'a, 'py, T>>
where
    'py: 'a,
{
    let mut slices = Vec::with_capacity(count);
    let Some(given) = out else {
        let mut arrays = Vec::with_capacity(count);
        for _ in 0..count {
            let (array, slice) = capi::output::<T>(py, n)?;
            arrays.push(array.into_any());
            slices.push(slice);
        }
        return Ok((arrays, slices));
    };
    for array in given {
        slices.push(capi::given_output(array, n, inputs, &slices, "out")?);
    }
    Ok((given.to_vec(), slices))
}

/// The k rows of the highest score.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "a public signature")]
pub(crate) fn top_scores<'py>(
    py: Python<'py>,
    proba: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    score: &Bound<'py, PyAny>,
    from_logits: &Bound<'py, PyAny>,
    available: Option<&Bound<'py, PyAny>>,
    invalid: &Bound<'py, PyAny>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)> {
    let argument = "proba";
    let limits = Limits::new(n_threads, deadline)?;
    let array = arguments::array(proba, argument)?;
    arguments::check_ndim(&array, 2, argument, "(n, c)")?;
    let (floats, dtype) = capi::rows(&array, argument)?;
    let k = arguments::count(k, "k")?;
    let request = Request {
        argument,
        scores: &[arguments::score(arguments::text(score, "score")?, "score")?],
        from_logits: arguments::flag(from_logits, "from_logits")?,
        normalize: false,
        tolerance: tolerance_of(dtype),
        nan_if_invalid: arguments::nan_if_invalid(invalid)?,
    };
    let mask = arguments::mask(available, array.shape()[0], "available")?;
    let mask = mask.as_deref();
    match floats {
        Floats::Single(rows) => {
            let (best, skipped) = call(py, &limits, array.len(), |par| {
                core::top_scores(&rows, k, &request, mask, par).map_err(arguments::or_logits)
            })?;
            picks(py, best, skipped)
        }
        Floats::Double(rows) => {
            let (best, skipped) = call(py, &limits, array.len(), |par| {
                core::top_scores(&rows, k, &request, mask, par).map_err(arguments::or_logits)
            })?;
            picks(py, best, skipped)
        }
    }
}
