//! Scores of committees.

use numpy::{Element, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use querist_core::members::Members;
use querist_core::real::Real;
use querist_core::score::{self as core, CommitteeRequest, CommitteeScore, VoteRequest};

use crate::arguments;
use crate::call::{Limits, call};
use crate::capi::{self, Committee};
use crate::score::{outputs, tolerance_of};

/// Members above which more members than rows are taken for the wrong axis, if nobody said which it is.
const MANY: usize = 64;

fn scores_of(names: &[String]) -> PyResult<Vec<CommitteeScore>> {
    let score = |name: &String| {
        CommitteeScore::from_name(name).ok_or_else(|| {
            let all: Vec<&str> = CommitteeScore::ALL.iter().map(|score| score.name()).collect();
            PyValueError::new_err(format!("names: expected some of {}, got {name:?}", all.join(", ")))
        })
    };
    names.iter().map(score).collect()
}

/// A member axis of an array of that many dimensions, by default the first.
fn axis(
    array: &Bound<'_, PyUntypedArray>,
    argument: &str,
    axis: Option<&Bound<'_, PyAny>>,
    shapes: &[&str],
) -> PyResult<usize> {
    let axis = axis.map_or(Ok(0), |axis| arguments::integer(axis, "member_axis"))?;
    match usize::try_from(axis) {
        Ok(axis) if axis < shapes.len() => {
            arguments::check_ndim(array, shapes.len(), argument, shapes[axis])?;
            Ok(axis)
        }
        _ => Err(PyValueError::new_err(format!(
            "member_axis: expected 0 to {} (0 for {}), got {axis}",
            shapes.len() - 1,
            shapes[0]
        ))),
    }
}

/// The shapes of an array of votes, and of predictions, by their member axis.
const VOTES: [&str; 2] = ["(m, n)", "(n, m)"];
const PROBA: [&str; 3] = ["(m, n, c)", "(n, m, c)", "(n, c, m)"];

/// Refuses an array whose members and rows are certainly exchanged; without weights only where the axis was not given.
fn check_axes(
    (m, n): (usize, usize),
    weights: Option<&[f64]>,
    argument: &str,
    axis: usize,
    axis_is_given: bool,
) -> PyResult<()> {
    let (now, other) = (VOTES[axis], 1 - axis);
    if let Some(weights) = weights {
        if weights.len() == n && n != m {
            return Err(PyValueError::new_err(format!(
                "weights: expected one for each of the {m} members, got {n}, as many as rows; {argument} is read as \
                 {now}: if its members lie along the other axis, pass member_axis={other}"
            )));
        }
    } else if !axis_is_given && m > n.max(MANY) && n > 0 {
        return Err(PyValueError::new_err(format!(
            "{argument}: expected {now}, got {m} members for {n} rows: if the members lie along the other axis, pass \
             member_axis={other}; if there really are so many, pass member_axis={axis}"
        )));
    }
    Ok(())
}

/// Several scores of a committee's probabilities, in one read.
#[pyfunction]
#[pyo3(signature = (proba, names, member_axis, weights, out, invalid, n_threads, deadline, tolerance=None))]
#[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn committee<'py>(
    py: Python<'py>,
    proba: &Bound<'py, PyAny>,
    names: Vec<String>,
    member_axis: &Bound<'py, PyAny>,
    weights: Option<Vec<f64>>,
    out: Option<Vec<Bound<'py, PyAny>>>,
    invalid: &Bound<'py, PyAny>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
    tolerance: Option<f64>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let limits = Limits::new(n_threads, deadline)?;
    let scores = scores_of(&names)?;
    let array = arguments::array(proba, "proba")?;
    let axis = axis(&array, "proba", Some(member_axis), &PROBA)?;
    let (members, dtype) = capi::members(&array, axis, "proba")?;
    let request = CommitteeRequest {
        argument: "proba",
        scores: &scores,
        weights: weights.as_deref(),
        tolerance: tolerance.unwrap_or_else(|| tolerance_of(dtype)),
        nan_if_invalid: arguments::nan_if_invalid(invalid)?,
    };
    match members {
        Committee::Single(members) => fill(py, &array, &members, &request, out.as_deref(), &limits),
        Committee::Double(members) => fill(py, &array, &members, &request, out.as_deref(), &limits),
    }
}

fn fill<'py, T: Real + Element>(
    py: Python<'py>,
    array: &Bound<'py, PyUntypedArray>,
    members: &Members<'_, T>,
    request: &CommitteeRequest<'_>,
    out: Option<&[Bound<'py, PyAny>]>,
    limits: &Limits,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let (arrays, slices) = outputs(py, &[array], members.rows(), request.scores.len(), out)?;
    call(py, limits, array.len(), move |par| {
        core::committee_scores(members, request, slices, par).map_err(arguments::or_nan)
    })?;
    Ok(arrays)
}

/// The first choice of each member.
#[pyfunction]
pub(crate) fn votes<'py>(
    py: Python<'py>,
    proba: &Bound<'py, PyAny>,
    member_axis: &Bound<'py, PyAny>,
    invalid: &Bound<'py, PyAny>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = arguments::array(proba, "proba")?;
    let axis = axis(&array, "proba", Some(member_axis), &PROBA)?;
    let (members, dtype) = capi::members(&array, axis, "proba")?;
    let request = CommitteeRequest {
        argument: "proba",
        scores: &[],
        weights: None,
        tolerance: tolerance_of(dtype),
        nan_if_invalid: arguments::nan_if_invalid(invalid)?,
    };
    match members {
        Committee::Single(members) => first_choices(py, &array, &members, &request, &limits),
        Committee::Double(members) => first_choices(py, &array, &members, &request, &limits),
    }
}

fn first_choices<'py, T: Real>(
    py: Python<'py>,
    array: &Bound<'py, PyUntypedArray>,
    members: &Members<'_, T>,
    request: &CommitteeRequest<'_>,
    limits: &Limits,
) -> PyResult<Bound<'py, PyAny>> {
    let (m, n) = (members.len(), members.rows());
    let (votes, slice) = capi::output::<i64>(py, m.saturating_mul(n))?;
    let mut rest = slice;
    let slices = (0..m).filter_map(|_| rest.split_off_mut(..n)).collect();
    call(py, limits, array.len(), move |par| {
        core::votes(members, request, slices, par).map_err(arguments::or_nan)
    })?;
    votes.into_any().call_method1("reshape", ((m, n),))
}

/// Scores of votes.
#[pyfunction]
#[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn vote_scores<'py>(
    py: Python<'py>,
    votes: &Bound<'py, PyAny>,
    names: Vec<String>,
    member_axis: Option<&Bound<'py, PyAny>>,
    n_classes: Option<&Bound<'py, PyAny>>,
    missing: &Bound<'py, PyAny>,
    weights: Option<Vec<f64>>,
    out: Option<Vec<Bound<'py, PyAny>>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let limits = Limits::new(n_threads, deadline)?;
    let scores = scores_of(&names)?;
    let array = arguments::array(votes, "votes")?;
    let axis = axis(&array, "votes", member_axis, &VOTES)?;
    let given = capi::integers(&array, axis, "votes")?;
    let (m, n) = given.shape();
    check_axes((m, n), weights.as_deref(), "votes", axis, member_axis.is_some())?;
    let n_classes = n_classes.map(|n| arguments::count(n, "n_classes")).transpose()?;
    if n_classes == Some(0) {
        return Err(PyValueError::new_err("n_classes: expected 1 or more, got 0"));
    }
    let missing = arguments::integer(missing, "missing")?;
    let request = VoteRequest { scores: &scores, n_classes, missing, weights: weights.as_deref() };
    let (arrays, slices) = outputs::<f64>(py, &[&array], n, scores.len(), out.as_deref())?;
    call(py, &limits, array.len(), |par| core::vote_scores(&given, &request, slices, par))?;
    Ok(arrays)
}

/// The variance of a committee of regressors.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn ensemble_variance<'py>(
    py: Python<'py>,
    values: &Bound<'py, PyAny>,
    member_axis: Option<&Bound<'py, PyAny>>,
    weights: Option<Vec<f64>>,
    out: Option<&Bound<'py, PyAny>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let limits = Limits::new(n_threads, deadline)?;
    let array = arguments::array(values, "values")?;
    let axis = axis(&array, "values", member_axis, &VOTES)?;
    let weights = weights.as_deref();
    let (members, _) = capi::members(&array, axis, "values")?;
    let (m, n) = (array.shape()[axis], array.shape()[1 - axis]);
    check_axes((m, n), weights, "values", axis, member_axis.is_some())?;
    let out = out.map(std::slice::from_ref);
    match members {
        Committee::Single(members) => variances(py, &array, &members, weights, out, &limits),
        Committee::Double(members) => variances(py, &array, &members, weights, out, &limits),
    }
}

fn variances<'py, T: Real + Element>(
    py: Python<'py>,
    array: &Bound<'py, PyUntypedArray>,
    members: &Members<'_, T>,
    weights: Option<&[f64]>,
    out: Option<&[Bound<'py, PyAny>]>,
    limits: &Limits,
) -> PyResult<Bound<'py, PyAny>> {
    let (mut arrays, mut slices) = outputs::<T>(py, &[array], members.rows(), 1, out)?;
    let slice = slices.pop().unwrap_or_default();
    call(py, limits, array.len(), |par| core::ensemble_variance(members, weights, slice, par))?;
    Ok(arrays.swap_remove(0))
}
