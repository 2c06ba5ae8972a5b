//! NumPy arrays as the core sees them. The only unsafe code of the door.
//!
//! Inputs are read in place, whatever their strides, alignment or byte order; nothing is copied. rust-numpy's own
//! borrows are not used: they refuse misaligned and swapped arrays, and cost more than a small call. As with numpy
//! itself, an array must not be written by another thread while it is read here.

use numpy::npyffi::NPY_ARRAY_WRITEABLE;
use numpy::{
    Element, PyArray1, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use querist_core::real::Real;
use querist_core::rows::{Rows, Stored};

/// Rows of an array of floats.
pub(crate) enum Floats<'a> {
    /// float32, or float16 or bfloat16 widened to it.
    Single(Rows<'a, f32>),
    /// float64.
    Double(Rows<'a, f64>),
}

/// How a dtype stores floats.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dtype {
    Float16,
    Bfloat16,
    Float32,
    Float64,
}

impl Dtype {
    /// The float dtype of an array.
    pub(crate) fn of(array: &Bound<'_, PyUntypedArray>, argument: &str) -> PyResult<Self> {
        let dtype = array.dtype();
        match (dtype.kind(), dtype.itemsize()) {
            (b'f', 2) => Ok(Self::Float16),
            (b'f', 4) => Ok(Self::Float32),
            (b'f', 8) => Ok(Self::Float64),
            // A dtype of ml_dtypes, which need not be there.
            (_, 2) if dtype.num() >= 256 && dtype.typeobj().name()? == "bfloat16" => Ok(Self::Bfloat16),
            _ => Err(PyTypeError::new_err(format!(
                "{argument}: expected an array of float16, bfloat16, float32 or float64, got {}",
                describe(&dtype)
            ))),
        }
    }
}

/// Where the first element of an array lies.
fn data(array: &Bound<'_, PyUntypedArray>) -> *mut u8 {
    // SAFETY: the field of a live array object.
    unsafe { (*array.as_array_ptr()).fields.data }.cast()
}

/// The name of a dtype, as Python prints it.
pub(crate) fn describe(dtype: &Bound<'_, PyArrayDescr>) -> String {
    dtype.str().map_or_else(|_| "an unknown dtype".to_owned(), |name| name.to_string())
}

/// The rows of a one- or two-dimensional array of floats; a one-dimensional one has rows of one number.
pub(crate) fn rows<'a>(
    array: &'a Bound<'_, PyUntypedArray>,
    argument: &str,
) -> PyResult<(Floats<'a>, Dtype)> {
    let dtype = Dtype::of(array, argument)?;
    let (shape, strides) = (array.shape(), array.strides());
    let (shape, strides) = match (shape, strides) {
        (&[n], &[stride]) => ((n, 1), (stride, 0)),
        (&[n, c], &[row, column]) => ((n, c), (row, column)),
        _ => {
            return Err(PyValueError::new_err(format!(
                "{argument}: expected at most 2 dimensions, got {}",
                shape.len()
            )));
        }
    };
    let swapped = array.dtype().is_native_byteorder() == Some(false);
    let start = data(array).cast_const();
    // SAFETY: numpy vouches for shape, strides and itemsize of its array, which `array` keeps alive for 'a.
    let floats = unsafe {
        match dtype {
            Dtype::Float64 => Floats::Double(Rows::new(start, shape, strides, Stored::Same, swapped)),
            Dtype::Float32 => Floats::Single(Rows::new(start, shape, strides, Stored::Same, swapped)),
            Dtype::Float16 => Floats::Single(Rows::new(start, shape, strides, Stored::Half, swapped)),
            Dtype::Bfloat16 => Floats::Single(Rows::new(start, shape, strides, Stored::Brain, swapped)),
        }
    };
    Ok((floats, dtype))
}

/// The bytes of a one-dimensional boolean array, any byte but 0 true.
pub(crate) fn bytes(array: &Bound<'_, PyUntypedArray>) -> Vec<u8> {
    let n = array.shape().first().copied().unwrap_or(0);
    let stride = array.strides().first().copied().unwrap_or(0);
    (0..n.cast_signed())
        // SAFETY: one byte for each element of numpy's array, which is alive.
        .map(|i| unsafe { data(array).offset(i * stride).read() })
        .collect()
}

/// A new array of n numbers and the right to fill it.
pub(crate) fn output<T: Real + Element>(py: Python<'_>, n: usize) -> (Bound<'_, PyArray1<T>>, &mut [T]) {
    let array = PyArray1::zeros(py, n, false);
    // SAFETY: the array is new, so that nobody else holds it, and it is returned beside the slice, which the caller
    // drops before handing the array out.
    let slice = unsafe { std::slice::from_raw_parts_mut(array.data(), n) };
    (array, slice)
}

/// The memory of an `out=` array, to be written.
///
/// It must be a writeable, C-contiguous and aligned array of n numbers of type T that shares no memory with `input`.
#[expect(clippy::mut_from_ref, reason = "a Python array is shared; being written is what it was given for")]
pub(crate) fn given_output<'a, T: Real + Element>(
    array: &'a Bound<'_, PyAny>,
    n: usize,
    input: &Bound<'_, PyUntypedArray>,
    argument: &str,
) -> PyResult<&'a mut [T]> {
    let dtype = T::get_dtype(array.py());
    let Ok(array) = array.cast::<PyUntypedArray>() else {
        let got = array.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "{argument}: expected a numpy array of {dtype}, got {got}"
        )));
    };
    if !array.dtype().is_equiv_to(&dtype) {
        let got = describe(&array.dtype());
        return Err(PyTypeError::new_err(format!("{argument}: expected an array of {dtype}, got {got}")));
    }
    if array.shape() != [n] {
        return Err(PyValueError::new_err(format!(
            "{argument}: expected shape ({n},), got {:?}",
            array.shape()
        )));
    }
    // SAFETY: the field of a live array object.
    let writeable = unsafe { (*array.as_array_ptr()).fields.flags } & NPY_ARRAY_WRITEABLE != 0;
    let data = data(array).cast::<T>();
    if !array.is_c_contiguous() || !data.is_aligned() || !writeable {
        return Err(PyValueError::new_err(format!(
            "{argument}: expected a writeable, C-contiguous and aligned array"
        )));
    }
    let (out, read) = (data.addr()..data.addr() + n * size_of::<T>(), extent(input));
    if out.start < read.end && read.start < out.end {
        return Err(PyValueError::new_err(format!(
            "{argument}: shares memory with an input, which is never written"
        )));
    }
    // SAFETY: n aligned numbers of type T of a live, writeable, contiguous array; the caller of the Python function
    // gave it to be written, and it does not overlap the input.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, n) })
}

/// The addresses from the first to the last byte of an array.
fn extent(array: &Bound<'_, PyUntypedArray>) -> std::ops::Range<usize> {
    let data = data(array).addr();
    if array.is_empty() {
        return data..data;
    }
    let reach = |sign: isize| -> usize {
        let steps = array.shape().iter().zip(array.strides()).filter(|(_, s)| s.signum() == sign);
        steps.map(|(&n, s)| (n - 1) * s.unsigned_abs()).sum()
    };
    data - reach(-1)..data + reach(1) + array.dtype().itemsize()
}

/// Whether two `out=` arrays share memory.
pub(crate) fn overlap<T>(a: &[T], b: &[T]) -> bool {
    let (a, b) = (a.as_ptr_range(), b.as_ptr_range());
    a.start < b.end && b.start < a.end
}
