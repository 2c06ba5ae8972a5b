//! Arguments other than floats: arrays of any origin, masks, counts and names.

use numpy::npyffi::is_numpy_2;
use numpy::{PyArray1, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyList};
use querist_core::error::{Error, Fault};
use querist_core::exact::Metric;
use querist_core::score::Score;
use querist_core::select::{Groups, Open};

use crate::capi;

/// A numpy array of whatever was given: as it is if it is one, else by the ladder of `querist._arrays`.
pub(crate) fn array<'py>(given: &Bound<'py, PyAny>, argument: &str) -> PyResult<Bound<'py, PyUntypedArray>> {
    static NDARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = given.py();
    let ndarray =
        NDARRAY.get_or_try_init(py, || Ok::<_, PyErr>(py.import("numpy")?.getattr("ndarray")?.unbind()))?;
    // Exactly ndarray: a subclass (masked, matrix) may mean something else by its memory.
    if given.get_type().is(ndarray.bind(py)) {
        return Ok(given.cast::<PyUntypedArray>()?.clone());
    }
    Ok(py.import("querist._arrays")?.getattr("as_array")?.call1((given, argument))?.cast_into()?)
}

/// Fills the cells that pyo3 and rust-numpy keep. They fill them when they are first used, and let go of the
/// GIL meanwhile: a child that is forked in that moment would wait for ever. At import nobody else is here.
pub(crate) fn fill_cells(py: Python<'_>) -> PyResult<()> {
    let one = array(PyArray1::from_vec(py, vec![0_i64]).as_any(), "")?;
    let _: Vec<i64> = PyList::new(py, [0])?.extract()?;
    let _ = (one.dtype().is_aligned_struct(), is_numpy_2(py));
    py.detach(|| Python::attach(|_| ()));
    Ok(())
}

/// Fails unless the array has that many dimensions.
pub(crate) fn check_ndim(
    array: &Bound<'_, PyUntypedArray>,
    ndim: usize,
    argument: &str,
    shape: &str,
) -> PyResult<()> {
    if array.ndim() == ndim {
        return Ok(());
    }
    let text = format!("{argument}: expected shape {shape}, got {}", shape_of(array));
    Err(PyValueError::new_err(text))
}

/// A matrix of features: two dimensions, at least one column.
pub(crate) fn features<'py>(
    given: &Bound<'py, PyAny>,
    argument: &str,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let array = array(given, argument)?;
    check_ndim(&array, 2, argument, "(n, d)")?;
    if array.shape()[1] == 0 {
        return Err(PyValueError::new_err(format!("{argument}: expected at least one column, got none")));
    }
    Ok(array)
}

/// The metric of that name.
pub(crate) fn metric(given: &Bound<'_, PyAny>) -> PyResult<Metric> {
    match text(given, "metric")? {
        "euclidean" => Ok(Metric::Euclidean),
        "cosine" => Ok(Metric::Cosine),
        name => Err(PyValueError::new_err(format!(
            "metric: expected \"euclidean\" or \"cosine\", got \"{name}\""
        ))),
    }
}

pub(crate) fn shape_of(array: &Bound<'_, PyUntypedArray>) -> String {
    let sizes: Vec<String> = array.shape().iter().map(ToString::to_string).collect();
    if sizes.len() == 1 { format!("({},)", sizes[0]) } else { format!("({})", sizes.join(", ")) }
}

/// The error for an argument of another type.
fn another(given: &Bound<'_, PyAny>, argument: &str, expected: &str) -> PyErr {
    let got = given.get_type().name().map_or_else(|_| "something else".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!("{argument}: expected {expected}, got {got}"))
}

// Scalars are converted here and not by pyo3, whose errors do not name the argument.

/// An integer; True is not one.
pub(crate) fn integer(given: &Bound<'_, PyAny>, argument: &str) -> PyResult<i64> {
    if given.is_instance_of::<PyBool>() {
        return Err(another(given, argument, "an integer"));
    }
    given.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(given.py()) {
            PyValueError::new_err(format!("{argument}: expected an integer of 64 bits, got {given}"))
        } else {
            another(given, argument, "an integer")
        }
    })
}

/// A count: an integer, not negative.
pub(crate) fn count(given: &Bound<'_, PyAny>, argument: &str) -> PyResult<usize> {
    let n = integer(given, argument)?;
    usize::try_from(n).map_err(|_| PyValueError::new_err(format!("{argument}: expected 0 or more, got {n}")))
}

/// `n_threads=`.
pub(crate) fn threads(given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<usize>> {
    let Some(given) = given else { return Ok(None) };
    match integer(given, "n_threads")? {
        n @ 1.. => Ok(usize::try_from(n).ok()),
        n => Err(PyValueError::new_err(format!("n_threads: expected a positive number or None, got {n}"))),
    }
}

/// A number of seconds.
pub(crate) fn seconds(given: &Bound<'_, PyAny>, argument: &str) -> PyResult<f64> {
    given.extract().map_err(|_| another(given, argument, "seconds from now"))
}

/// True or False.
pub(crate) fn flag(given: &Bound<'_, PyAny>, argument: &str) -> PyResult<bool> {
    given.extract().map_err(|_| another(given, argument, "True or False"))
}

/// A word.
pub(crate) fn text<'a>(given: &'a Bound<'_, PyAny>, argument: &str) -> PyResult<&'a str> {
    given.extract().map_err(|_| another(given, argument, "a string"))
}

/// The score of that name.
pub(crate) fn score(name: &str, argument: &str) -> PyResult<Score> {
    Score::from_name(name).ok_or_else(|| {
        PyValueError::new_err(format!(
            "{argument}: expected \"entropy\", \"margin\", \"least_confidence\" or \"gini\", got \"{name}\""
        ))
    })
}

/// `invalid=`: whether rows that are not valid score NaN.
pub(crate) fn nan_if_invalid(given: &Bound<'_, PyAny>) -> PyResult<bool> {
    match text(given, "invalid")? {
        "raise" => Ok(false),
        "nan" => Ok(true),
        invalid => {
            Err(PyValueError::new_err(format!("invalid: expected \"raise\" or \"nan\", got \"{invalid}\"")))
        }
    }
}

/// An error of a call that takes `invalid=`.
pub(crate) fn or_nan(error: Error) -> Error {
    error.advising(|_| "invalid=\"nan\" scores such rows NaN")
}

/// An error of a call that takes `invalid=` and `from_logits=`.
pub(crate) fn or_logits(error: Error) -> Error {
    error.advising(|fault| match fault {
        Fault::NotAProbability { value, .. } | Fault::Sum { sum: value, .. } if value.is_finite() => {
            "for logits pass from_logits=True; invalid=\"nan\" scores such rows NaN"
        }
        _ => "invalid=\"nan\" scores such rows NaN",
    })
}

/// Which of n rows may be picked, a byte each: a boolean array (n,), or row numbers, none twice.
pub(crate) fn mask(given: Option<&Bound<'_, PyAny>>, n: usize, argument: &str) -> PyResult<Option<Vec<u8>>> {
    let Some(given) = given else { return Ok(None) };
    let array = array(given, argument)?;
    check_ndim(&array, 1, argument, "(n,)")?;
    if array.is_empty() {
        return Ok(Some(vec![0; n]));
    }
    match array.dtype().kind() {
        b'b' if array.len() == n => Ok(Some(capi::bytes(&array))),
        b'b' => Err(PyValueError::new_err(format!(
            "{argument}: expected one boolean for each of the {n} rows, got {}",
            array.len()
        ))),
        b'i' | b'u' => {
            let numbers = array.call_method1("astype", ("int64",))?;
            let numbers = numbers.cast::<PyArray1<i64>>()?.to_vec()?;
            let mut mask = vec![0; n];
            for (i, number) in numbers.into_iter().enumerate() {
                let slot = usize::try_from(number).ok().and_then(|i| mask.get_mut(i));
                match slot {
                    Some(seen @ 0) => *seen = 1,
                    Some(_) => {
                        return Err(PyValueError::new_err(format!(
                            "{argument}: row {number} is there twice"
                        )));
                    }
                    None => {
                        // As given: a uint64 may be more than an int64 holds, and is negative then.
                        let given = array.get_item(i)?;
                        return Err(PyValueError::new_err(format!(
                            "{argument}: row {given} is not one of the {n} rows"
                        )));
                    }
                }
            }
            Ok(Some(mask))
        }
        _ => Err(PyTypeError::new_err(format!(
            "{argument}: expected booleans (n,) or integer row numbers, got {}",
            capi::describe(&array.dtype())
        ))),
    }
}

/// Quotas, as `querist._quota` makes them: for each row the place of its group, and for each group how many
/// can be picked.
pub(crate) type Quota<'py> = (Bound<'py, PyArray1<u32>>, Vec<usize>);

/// What can be picked.
pub(crate) struct Pickable {
    available: Option<Vec<u8>>,
    groups: Option<(Vec<u32>, Vec<usize>)>,
}

impl Pickable {
    /// Of n rows, those available, and of each group as many as its quota says.
    pub(crate) fn new(
        available: Option<&Bound<'_, PyAny>>,
        quota: Option<Quota<'_>>,
        n: usize,
    ) -> PyResult<Self> {
        let available = mask(available, n, "available")?;
        let groups = quota.map(|(of, left)| Ok::<_, PyErr>((of.to_vec()?, left))).transpose()?;
        Ok(Self { available, groups })
    }

    pub(crate) fn open(&self) -> Open<'_> {
        let groups = self.groups.as_ref().map(|(of, left)| Groups { of, left: left.clone() });
        Open::new(self.available.as_deref(), groups)
    }
}
