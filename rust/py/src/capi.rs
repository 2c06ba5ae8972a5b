//! NumPy arrays as the core sees them. The only unsafe code of the door.
//!
//! Inputs are read in place, whatever their strides, alignment or byte order; nothing is copied. rust-numpy's own
//! borrows are not used: they refuse misaligned and swapped arrays, and cost more than a small call. As with numpy
//! itself, an array must not be written by another thread while it is read here.

use std::ops::Range;

use numpy::npyffi::{NPY_ARRAY_WRITEABLE, PY_ARRAY_API};
use numpy::{
    Element, PyArray1, PyArrayDescr, PyArrayDescrMethods, PyArrayMethods, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyMemoryError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use querist_core::members::Members;
use querist_core::real::Real;
use querist_core::rows::integers::{Integers, Width};
use querist_core::rows::{Rows, Stored};

use crate::arguments::shape_of;

/// Rows of an array of floats.
pub(crate) enum Floats<'a> {
    /// float32, or float16 or bfloat16 widened to it.
    Single(Rows<'a, f32>),
    /// float64.
    Double(Rows<'a, f64>),
}

impl<'a> Floats<'a> {
    /// The same numbers, read as float64.
    pub(crate) fn wide(self) -> Rows<'a, f64> {
        match self {
            Self::Single(rows) => rows.widened(),
            Self::Double(rows) => rows,
        }
    }
}

/// A matrix and perhaps another, in the wider float type of both.
pub(crate) enum Pair<'a> {
    /// As [`Floats::Single`].
    Single(Rows<'a, f32>, Option<Rows<'a, f32>>),
    /// As [`Floats::Double`].
    Double(Rows<'a, f64>, Option<Rows<'a, f64>>),
}

impl<'a> Pair<'a> {
    /// Of one, and perhaps another.
    pub(crate) fn of(first: Floats<'a>, second: Option<Floats<'a>>) -> Self {
        match (first, second) {
            (Floats::Single(first), None) => Self::Single(first, None),
            (Floats::Single(first), Some(Floats::Single(second))) => Self::Single(first, Some(second)),
            (first, second) => Self::Double(first.wide(), second.map(Floats::wide)),
        }
    }
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

/// The rows of a one- or two-dimensional array of floats, widened to float64.
pub(crate) fn wide_rows<'a>(array: &'a Bound<'_, PyUntypedArray>, argument: &str) -> PyResult<Rows<'a, f64>> {
    Ok(rows(array, argument)?.0.wide())
}

/// The members of a committee.
pub(crate) enum Committee<'a> {
    /// As [`Floats::Single`].
    Single(Members<'a, f32>),
    /// As [`Floats::Double`].
    Double(Members<'a, f64>),
}

/// The members of a committee: a three-dimensional array of floats whose members lie along an axis, the others being
/// rows and classes in this order. A two-dimensional one has rows of one number.
pub(crate) fn members<'a>(
    array: &'a Bound<'_, PyUntypedArray>,
    member_axis: usize,
    argument: &str,
) -> PyResult<(Committee<'a>, Dtype)> {
    let dtype = Dtype::of(array, argument)?;
    let mut axes: Vec<(usize, isize)> =
        array.shape().iter().copied().zip(array.strides().iter().copied()).collect();
    let (m, member_stride) = axes.remove(member_axis);
    let (n, row_stride) = axes[0];
    let swapped = array.dtype().is_native_byteorder() == Some(false);
    let size = array.dtype().itemsize().cast_signed();
    let (c, class_stride) = axes.get(1).copied().unwrap_or((1, size));
    let start = data(array).cast_const();
    let stored = match dtype {
        Dtype::Float16 => Stored::Half,
        Dtype::Bfloat16 => Stored::Brain,
        Dtype::Float32 | Dtype::Float64 => Stored::Same,
    };
    // Where all numbers of a row lie side by side, in one order or the other.
    let (m_signed, c_signed) = (m.cast_signed(), c.cast_signed());
    let steps = if class_stride == size && member_stride == c_signed * size {
        Some((c, 1))
    } else if member_stride == size && class_stride == m_signed * size {
        Some((1, m))
    } else {
        None
    };
    let layout = Layout {
        start,
        members: (m, member_stride),
        shape: (n, c),
        strides: (row_stride, class_stride),
        stored,
        swapped,
        flat: steps.map(|steps| (steps, size)),
    };
    // SAFETY: numpy vouches for shape, strides and itemsize of its array, which `array` keeps alive for 'a.
    let members = unsafe {
        match dtype {
            Dtype::Float64 => Committee::Double(layout.members()),
            _ => Committee::Single(layout.members()),
        }
    };
    Ok((members, dtype))
}

/// Where the numbers of a committee lie.
struct Layout {
    start: *const u8,
    /// How many, and from one to the next.
    members: (usize, isize),
    shape: (usize, usize),
    strides: (isize, isize),
    stored: Stored,
    swapped: bool,
    /// Where all numbers of a row lie side by side: the steps of members and classes, and the size of a number.
    flat: Option<((usize, usize), isize)>,
}

impl Layout {
    /// # Safety
    /// The elements at all these places must be readable for `'a`.
    unsafe fn members<'a, T: Real>(&self) -> Members<'a, T> {
        let (m, step) = self.members;
        let each = (0..m.cast_signed()).map(|i| {
            let start = self.start.wrapping_offset(i * step);
            // SAFETY: member i < m is the sub-array at that offset.
            unsafe { Rows::new(start, self.shape, self.strides, self.stored, self.swapped) }
        });
        let members = Members::new(each.collect());
        let Some((steps, size)) = self.flat else { return members };
        let (shape, strides) = ((self.shape.0, m * self.shape.1), (self.strides.0, size));
        // SAFETY: the same elements, as the steps say.
        let flat = unsafe { Rows::new(self.start, shape, strides, self.stored, self.swapped) };
        members.with_flat(flat, steps)
    }
}

/// A two-dimensional array of integers or booleans whose members lie along an axis.
pub(crate) fn integers<'a>(
    array: &'a Bound<'_, PyUntypedArray>,
    member_axis: usize,
    argument: &str,
) -> PyResult<Integers<'a>> {
    let dtype = array.dtype();
    let signed = match dtype.kind() {
        b'i' => true,
        b'u' | b'b' => false,
        _ => {
            return Err(PyTypeError::new_err(format!(
                "{argument}: expected an array of integers, got {}",
                describe(&dtype)
            )));
        }
    };
    let swapped = dtype.is_native_byteorder() == Some(false);
    let width = Width { bytes: dtype.itemsize(), signed, swapped };
    let (shape, strides) = (array.shape(), array.strides());
    let other = 1 - member_axis;
    let (shape, strides) = ((shape[member_axis], shape[other]), (strides[member_axis], strides[other]));
    // SAFETY: numpy vouches for shape, strides and itemsize of its array, which `array` keeps alive for 'a.
    Ok(unsafe { Integers::new(data(array).cast_const(), shape, strides, width) })
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

/// A new array of n numbers and the right to fill it. More than there is memory for are a `MemoryError`: rust-numpy's own
/// panics.
pub(crate) fn output<T: Element>(py: Python<'_>, n: usize) -> PyResult<(Bound<'_, PyArray1<T>>, &mut [T])> {
    let mut shape = [isize::try_from(n).map_err(|_| PyMemoryError::new_err(format!("{n} numbers")))?];
    let dtype = T::get_dtype(py).into_dtype_ptr();
    // SAFETY: one dimension is there, numpy takes over the dtype, and what it returns is new, or null and an error set; an
    // array of that dtype and of one dimension is what the type says.
    let array = unsafe {
        let array = PY_ARRAY_API.PyArray_Zeros(py, 1, shape.as_mut_ptr(), dtype, 0);
        Bound::from_owned_ptr_or_err(py, array)?.cast_into_unchecked::<PyArray1<T>>()
    };
    // SAFETY: the array is new, so that nobody else holds it, and it is returned beside the slice, which the caller
    // drops before handing the array out.
    let slice = unsafe { std::slice::from_raw_parts_mut(array.data(), n) };
    Ok((array, slice))
}

/// The memory of an `out=` array, to be written.
///
/// It must be a writeable, C-contiguous and aligned array of n numbers of type T that shares no memory with the inputs,
/// nor with outputs before it.
#[expect(clippy::mut_from_ref, reason = "a Python array is shared; being written is what it was given for")]
pub(crate) fn given_output<'a, T: Real + Element>(
    array: &'a Bound<'_, PyAny>,
    n: usize,
    inputs: &[&Bound<'_, PyUntypedArray>],
    before: &[&mut [T]],
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
            "{argument}: expected shape ({n},), got {}",
            shape_of(array)
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
    let place = data.addr()..data.addr() + n * size_of::<T>();
    if inputs.iter().any(|input| meet(&place, &extent(input))) {
        let text = format!("{argument}: shares memory with an input, which is never written");
        return Err(PyValueError::new_err(text));
    }
    if before.iter().any(|other| meet(&place, &addresses(other))) {
        let text = format!("{argument}: array {} shares memory with another one", before.len());
        return Err(PyValueError::new_err(text));
    }
    // SAFETY: n aligned numbers of type T of a live, writeable, contiguous array, which the caller of the Python function
    // gave to be written; no input and no other output lies in them.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, n) })
}

fn meet(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn addresses<T>(numbers: &[T]) -> Range<usize> {
    let start = numbers.as_ptr().addr();
    start..start + size_of_val(numbers)
}

/// The addresses from the first to the last byte of an array.
fn extent(array: &Bound<'_, PyUntypedArray>) -> Range<usize> {
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
