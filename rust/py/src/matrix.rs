//! Features: a dense matrix, or one in CSR form.

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use querist_core::density::sparse::Sparse;
use querist_core::pool::Par;
use querist_core::real::Real;
use querist_core::rows::Rows;

use crate::arguments;
use crate::call::{Limits, call};
use crate::capi::{self, Floats};

/// A matrix of floats with at least one column.
pub(crate) enum Matrix<'py> {
    Dense(Bound<'py, PyUntypedArray>),
    Sparse(Csr<'py>),
}

impl<'py> Matrix<'py> {
    /// Of an array of any origin, or of a scipy matrix in CSR form.
    pub(crate) fn of(given: &Bound<'py, PyAny>, argument: &str) -> PyResult<Self> {
        if !given.is_instance_of::<PyUntypedArray>() && given.hasattr("indptr")? {
            let shape: (usize, usize) = given.getattr("shape")?.extract()?;
            let parts = (given.getattr("data")?, given.getattr("indices")?, given.getattr("indptr")?);
            return Ok(Self::Sparse(Csr::of(&parts, shape, argument)?));
        }
        arguments::features(given, argument).map(Self::Dense)
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> (usize, usize) {
        match self {
            Self::Dense(array) => (array.shape()[0], array.shape()[1]),
            Self::Sparse(csr) => (csr.starts.len().saturating_sub(1), csr.width),
        }
    }

    /// How many numbers it stands for.
    pub(crate) fn len(&self) -> usize {
        let (n, d) = self.shape();
        n.saturating_mul(d)
    }

    /// The arrays that it is made of.
    pub(crate) fn arrays(&self) -> Vec<&Bound<'py, PyUntypedArray>> {
        match self {
            Self::Dense(array) => vec![array],
            Self::Sparse(csr) => vec![&csr.data, &csr.indices, &csr.starts],
        }
    }

    /// Its rows; those of a sparse one are filled up with zeros as they are read.
    pub(crate) fn rows(&self, argument: &'static str) -> PyResult<Floats<'_>> {
        match self {
            Self::Dense(array) => Ok(capi::rows(array, argument)?.0),
            Self::Sparse(csr) => csr.rows(argument),
        }
    }
}

/// The arrays of a CSR matrix.
pub(crate) struct Csr<'py> {
    pub(crate) data: Bound<'py, PyUntypedArray>,
    indices: Bound<'py, PyUntypedArray>,
    starts: Bound<'py, PyUntypedArray>,
    width: usize,
}

impl<'py> Csr<'py> {
    /// Of data, indices and indptr.
    pub(crate) fn of(
        (data, indices, indptr): &(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>),
        (n, width): (usize, usize),
        argument: &str,
    ) -> PyResult<Self> {
        if width == 0 {
            return Err(PyValueError::new_err(format!("{argument}: expected at least one column, got none")));
        }
        let data = arguments::array(data, argument)?;
        let one_row = |given: &Bound<'py, PyAny>| -> PyResult<Bound<'py, PyUntypedArray>> {
            let array = arguments::array(given, argument)?;
            arguments::check_ndim(&array, 1, argument, "(n,)")?;
            Ok(array.call_method1("reshape", (1, -1))?.cast_into()?)
        };
        arguments::check_ndim(&data, 1, argument, "(n,)")?;
        let csr = Self { data, indices: one_row(indices)?, starts: one_row(indptr)?, width };
        if csr.starts.len() != n + 1 {
            return Err(PyValueError::new_err(format!(
                "{argument}: expected indptr of {} numbers, one more than rows, got {}",
                n + 1,
                csr.starts.len()
            )));
        }
        Ok(csr)
    }

    /// As the densities see it, whose numbers are these.
    pub(crate) fn sparse<'a, T>(&'a self, data: Rows<'a, T>, argument: &str) -> PyResult<Sparse<'a, T>> {
        let columns = capi::integers(&self.indices, 0, argument)?;
        let starts = capi::integers(&self.starts, 0, argument)?;
        Ok(Sparse { data, columns, starts, width: self.width })
    }

    fn rows(&self, argument: &'static str) -> PyResult<Floats<'_>> {
        // A call of its own, as it goes over all numbers.
        fn filled<'a, T: Real>(
            py: Python<'_>,
            sparse: &Sparse<'a, T>,
            argument: &'static str,
        ) -> PyResult<Rows<'a, T>> {
            let &Sparse { data, columns, starts, width } = sparse;
            let check = |_: Par<'_>| Rows::sparse(data, columns, starts, width, argument);
            call(py, &Limits::ONE_THREAD, data.len(), check)
        }
        let py = self.data.py();
        Ok(match capi::rows(&self.data, argument)?.0 {
            Floats::Single(data) => Floats::Single(filled(py, &self.sparse(data, argument)?, argument)?),
            Floats::Double(data) => Floats::Double(filled(py, &self.sparse(data, argument)?, argument)?),
        })
    }
}
