//! Diverse batches.

use std::sync::{Mutex, PoisonError, TryLockError};

use numpy::{PyArray1, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use querist_core::density::{suits_single, work};
use querist_core::error::Error;
use querist_core::exact::Metric;
use querist_core::pool::Par;
use querist_core::real::Real;
use querist_core::rows::Rows;
use querist_core::select::badge::badge as badge_of;
use querist_core::select::centres::{Centres, nearest as nearest_of};
use querist_core::select::facility_location::facility_location as cover;
use querist_core::select::k_center::Farthest;
use querist_core::select::k_means_pp::k_means_pp as draw;
use querist_core::select::ladder::Known;
use querist_core::select::relevance::{Mmr, RankedBatch};
use querist_core::select::{Open, Picks, Similarity, Work};

use crate::arguments::{self, Pickable, Quota};
use crate::call::{Limits, call};
use crate::capi::{self, Floats, Pair};
use crate::matrix::Matrix;
use crate::score::tolerance_of;

/// What is known of a pool between picks.
#[pyclass(frozen)]
pub(crate) struct KCenter {
    features: Py<PyAny>,
    metric: Metric,
    known: Mutex<Either>,
    /// The process that made it. In a forked child a thread that held the lock is gone, and does not let go of it.
    process: u32,
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
    fn new(given: &Bound<'_, PyAny>, metric: &Bound<'_, PyAny>) -> PyResult<Self> {
        let metric = arguments::metric(metric)?;
        let known = match Matrix::of(given, "features")?.rows("features")? {
            Floats::Single(rows) => Either::Single(Known::new(&rows, metric)),
            Floats::Double(rows) => Either::Double(Known::new(&rows, metric)),
        };
        let process = std::process::id();
        Ok(Self { features: given.clone().unbind(), metric, known: Mutex::new(known), process })
    }

    /// Makes centres of rows: of the pool, or of an array of the same width.
    #[pyo3(signature = (rows, outside=None, deadline=None))]
    fn add(
        &self,
        py: Python<'_>,
        rows: Vec<usize>,
        outside: Option<&Bound<'_, PyAny>>,
        deadline: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let limits = Limits::new(None, deadline)?;
        let matrix = Matrix::of(outside.unwrap_or(self.features.bind(py)), "labeled")?;
        let given = matrix.rows("labeled")?;
        let argument = if outside.is_some() { "labeled" } else { "features" };
        self.check_process()?;
        call(py, &limits, large(0), |par| {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *known, given) {
                (Either::Single(known), Floats::Single(given)) => known.add(&given, rows, argument, par),
                (Either::Double(known), Floats::Double(given)) => known.add(&given, rows, argument, par),
                _ => unreachable!("the house converts them first"),
            }
        })
    }

    /// The next k picks, and the work done: distances and sweeps.
    #[expect(clippy::too_many_arguments, reason = "a public signature")]
    fn pick<'py>(
        &self,
        py: Python<'py>,
        k: &Bound<'py, PyAny>,
        weights: Option<&Bound<'py, PyArray1<f64>>>,
        available: Option<&Bound<'py, PyAny>>,
        quota: Option<Quota<'py>>,
        n_threads: Option<&Bound<'py, PyAny>>,
        deadline: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize, usize)> {
        let limits = Limits::new(n_threads, deadline)?;
        let matrix = Matrix::of(self.features.bind(py), "features")?;
        let k = arguments::count(k, "k")?;
        let pickable = Pickable::new(available, quota, matrix.shape().0)?;
        let weights = weights.map(PyArrayMethods::to_vec).transpose()?;
        let rule = Farthest { metric: self.metric, weights: weights.as_deref() };
        let open = pickable.open();
        let given = matrix.rows("features")?;
        self.check_process()?;
        let (found, done) = call(py, &limits, large(matrix.len()), |par| {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            match (&mut *known, &given) {
                (Either::Single(known), Floats::Single(rows)) => known.pick(rows, k, &rule, open, par),
                (Either::Double(known), Floats::Double(rows)) => known.pick(rows, k, &rule, open, par),
                _ => unreachable!("the features are those of the start"),
            }
        })?;
        worked((found, done), py)
    }
}

impl KCenter {
    /// Fails in a forked child if another thread was at work when it was forked.
    fn check_process(&self) -> PyResult<()> {
        if self.process != std::process::id()
            && matches!(self.known.try_lock(), Err(TryLockError::WouldBlock))
        {
            let text =
                "this KCenter was at work in another thread when the process was forked: make another one";
            return Err(PyRuntimeError::new_err(text));
        }
        Ok(())
    }
}

/// Row numbers, values, distances and sweeps.
type Picked<'py> = PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize, usize)>;

fn worked((picks, work): (Picks<f64>, Work), py: Python<'_>) -> Picked<'_> {
    let (indices, values, _) = crate::select::picks(py, picks, 0)?;
    Ok((indices, values, work.distances, work.sweeps))
}

/// A method that picks from a pool beside what is labelled.
trait Method: Send {
    /// What rows are compared by.
    fn metric(&self) -> Metric;
    /// Whether float32 will do for rows of it.
    fn suits_single(&self) -> bool {
        true
    }
    /// The picks, and how much was looked at.
    fn pick<T: Real>(
        self,
        rows: &Rows<'_, T>,
        labelled: Centres<T>,
        par: Par<'_>,
    ) -> Result<(Picks<f64>, Work), Error>;
}

/// Runs a method over features of either float type, with labelled rows of the pool and from outside it.
fn pick_from<'py>(
    py: Python<'py>,
    pool: &Matrix<'py>,
    labelled: &[usize],
    outside: Option<&Bound<'py, PyAny>>,
    limits: &Limits,
    method: impl Method,
) -> Picked<'py> {
    fn run<T: Real>(
        (rows, outside): (&Rows<'_, T>, Option<&Rows<'_, T>>),
        labelled: &[usize],
        method: impl Method,
        par: Par<'_>,
    ) -> Result<(Picks<f64>, Work), Error> {
        let metric = method.metric();
        let mut centres = Centres::of(rows, labelled.iter().copied(), metric, "features", par)?;
        if let Some(outside) = outside {
            centres.extend(outside, 0..outside.len(), metric, "labeled", par)?;
        }
        method.pick(rows, centres, par)
    }
    let outside = outside.map(|given| Matrix::of(given, "labeled")).transpose()?;
    let outside = outside.as_ref().map(|outside| outside.rows("labeled")).transpose()?;
    let (n, d) = pool.shape();
    let size = work(n, n, d);
    let mut given = pool.rows("features")?;
    if !method.suits_single() {
        given = Floats::Double(given.wide());
    }
    let found = match Pair::of(given, outside) {
        Pair::Single(rows, others) => {
            call(py, limits, size, |par| run((&rows, others.as_ref()), labelled, method, par))?
        }
        Pair::Double(rows, others) => {
            call(py, limits, size, |par| run((&rows, others.as_ref()), labelled, method, par))?
        }
    };
    worked(found, py)
}

/// Maximal marginal relevance and ranked batch.
struct Relevant<'a> {
    scores: &'a [f64],
    /// λ; without one it is ranked batch, of so many labelled rows of the pool.
    trade_off: Option<f64>,
    in_pool: usize,
    k: usize,
    open: Open<'a>,
}

impl Method for Relevant<'_> {
    fn metric(&self) -> Metric {
        if self.trade_off.is_some() { Metric::Cosine } else { Metric::Euclidean }
    }

    fn pick<T: Real>(
        self,
        rows: &Rows<'_, T>,
        labelled: Centres<T>,
        par: Par<'_>,
    ) -> Result<(Picks<f64>, Work), Error> {
        let count = labelled.len();
        let mut known = Known::with(rows, self.metric(), labelled);
        let Self { scores, trade_off, in_pool, k, open } = self;
        match trade_off {
            Some(trade_off) => known.pick(rows, k, &Mmr { scores, trade_off }, open, par),
            None => known.pick(rows, k, &RankedBatch::new(scores, count, in_pool), open, par),
        }
    }
}

/// Maximal marginal relevance, or ranked batch where there is no trade-off.
#[pyfunction]
#[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn relevant<'py>(
    py: Python<'py>,
    scores: &Bound<'py, PyArray1<f64>>,
    features: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    trade_off: Option<f64>,
    labelled: Vec<usize>,
    outside: Option<&Bound<'py, PyAny>>,
    available: Option<&Bound<'py, PyAny>>,
    quota: Option<Quota<'py>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> Picked<'py> {
    let limits = Limits::new(n_threads, deadline)?;
    let pool = Matrix::of(features, "features")?;
    let k = arguments::count(k, "k")?;
    let pickable = Pickable::new(available, quota, pool.shape().0)?;
    let scores = scores.to_vec()?;
    let in_pool = labelled.len();
    let method = Relevant { scores: &scores, trade_off, in_pool, k, open: pickable.open() };
    pick_from(py, &pool, &labelled, outside, &limits, method)
}

/// D² sampling of rows.
struct Draw<'a> {
    k: usize,
    weights: Option<&'a [f64]>,
    open: Open<'a>,
    seed: u64,
}

impl Method for Draw<'_> {
    fn metric(&self) -> Metric {
        Metric::Euclidean
    }

    fn pick<T: Real>(
        self,
        rows: &Rows<'_, T>,
        labelled: Centres<T>,
        par: Par<'_>,
    ) -> Result<(Picks<f64>, Work), Error> {
        draw(rows, self.k, labelled, self.weights, self.open, self.seed, par)
    }
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
    quota: Option<Quota<'py>>,
    seed: u64,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> Picked<'py> {
    let limits = Limits::new(n_threads, deadline)?;
    let pool = Matrix::of(features, "features")?;
    let k = arguments::count(k, "k")?;
    let pickable = Pickable::new(available, quota, pool.shape().0)?;
    let weights = weights.map(PyArrayMethods::to_vec).transpose()?;
    let method = Draw { k, weights: weights.as_deref(), open: pickable.open(), seed };
    pick_from(py, &pool, &labelled, outside, &limits, method)
}

/// Picks that together stand for the pool.
struct Cover<'a> {
    k: usize,
    similarity: Similarity,
    weights: Option<&'a [f64]>,
    open: Open<'a>,
}

impl Method for Cover<'_> {
    fn metric(&self) -> Metric {
        self.similarity.metric()
    }

    fn suits_single(&self) -> bool {
        match self.similarity {
            Similarity::Rbf { gamma, .. } => suits_single(gamma),
            Similarity::Cosine => true,
        }
    }

    fn pick<T: Real>(
        self,
        rows: &Rows<'_, T>,
        labelled: Centres<T>,
        par: Par<'_>,
    ) -> Result<(Picks<f64>, Work), Error> {
        cover(rows, self.k, &labelled, self.weights, self.similarity, self.open, par)
    }
}

/// Picks that together stand for the pool.
#[pyfunction]
#[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn facility_location<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    kernel: &Bound<'py, PyAny>,
    gamma: f64,
    labelled: Vec<usize>,
    outside: Option<&Bound<'py, PyAny>>,
    weights: Option<&Bound<'py, PyArray1<f64>>>,
    available: Option<&Bound<'py, PyAny>>,
    quota: Option<Quota<'py>>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> Picked<'py> {
    let limits = Limits::new(n_threads, deadline)?;
    let pool = Matrix::of(features, "features")?;
    let k = arguments::count(k, "k")?;
    let pickable = Pickable::new(available, quota, pool.shape().0)?;
    let weights = weights.map(PyArrayMethods::to_vec).transpose()?;
    let similarity = match arguments::text(kernel, "kernel")? {
        "rbf" => Similarity::Rbf { gamma, metric: Metric::Euclidean },
        "rbf of directions" => Similarity::Rbf { gamma, metric: Metric::Cosine },
        "cosine" => Similarity::Cosine,
        kernel => {
            let text = format!("kernel: expected \"rbf\" or \"cosine\", got \"{kernel}\"");
            return Err(PyValueError::new_err(text));
        }
    };
    let method = Cover { k, similarity, weights: weights.as_deref(), open: pickable.open() };
    pick_from(py, &pool, &labelled, outside, &limits, method)
}

/// Rows of the pool, or of an array of the same width, scaled to length 1: as the cosine compares them, in float64.
#[pyfunction]
pub(crate) fn directions<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    rows: Vec<usize>,
    outside: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let limits = Limits::new(None, deadline)?;
    let argument = if outside.is_some() { "labeled" } else { "features" };
    let matrix = Matrix::of(outside.unwrap_or(features), argument)?;
    let d = matrix.shape().1;
    let size = rows.len().saturating_mul(d);
    let compared = match matrix.rows(argument)? {
        Floats::Single(given) => call(py, &limits, size, |par| {
            Centres::of(&given, rows, Metric::Cosine, argument, par).map(Centres::into_compared)
        })?,
        Floats::Double(given) => call(py, &limits, size, |par| {
            Centres::of(&given, rows, Metric::Cosine, argument, par).map(Centres::into_compared)
        })?,
    };
    PyArray1::from_vec(py, compared).into_any().call_method1("reshape", ((-1, d),))
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
    quota: Option<Quota<'py>>,
    seed: u64,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> Picked<'py> {
    let limits = Limits::new(n_threads, deadline)?;
    let proba = arguments::array(proba, "proba")?;
    arguments::check_ndim(&proba, 2, "proba", "(n, c)")?;
    let pool = Matrix::of(features, "features")?;
    let (n, d) = pool.shape();
    let k = arguments::count(k, "k")?;
    let pickable = Pickable::new(available, quota, n)?;
    let open = || pickable.open();
    let (given, dtype) = capi::rows(&proba, "proba")?;
    let settings = (seed, tolerance_of(dtype));
    let size = work(n, k, proba.shape()[1] + d);
    let found = match (given, pool.rows("features")?) {
        (Floats::Single(proba), Floats::Single(rows)) => {
            call(py, &limits, size, |par| badge_of(&proba, &rows, k, open(), settings, par))?
        }
        (proba, rows) => {
            let (proba, rows) = (proba.wide(), rows.wide());
            call(py, &limits, size, |par| badge_of(&proba, &rows, k, open(), settings, par))?
        }
    };
    worked(found, py)
}

/// For each row the nearest of some rows, by its place among them, and the distance to it.
#[pyfunction]
#[expect(clippy::needless_pass_by_value, reason = "a public signature")]
pub(crate) fn nearest<'py>(
    py: Python<'py>,
    features: &Bound<'py, PyAny>,
    picks: Vec<usize>,
    metric: &Bound<'py, PyAny>,
    n_threads: Option<&Bound<'py, PyAny>>,
    deadline: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let limits = Limits::new(n_threads, deadline)?;
    let pool = Matrix::of(features, "features")?;
    let (n, d) = pool.shape();
    let metric = arguments::metric(metric)?;
    let size = work(n, picks.len(), d);
    let (nearest, distances) = match pool.rows("features")? {
        Floats::Single(rows) => call(py, &limits, size, |par| nearest_of(&rows, &picks, metric, par))?,
        Floats::Double(rows) => call(py, &limits, size, |par| nearest_of(&rows, &picks, metric, par))?,
    };
    let nearest: Result<Vec<i64>, _> = nearest.into_iter().map(i64::try_from).collect();
    Ok((PyArray1::from_vec(py, nearest?).into_any(), PyArray1::from_vec(py, distances).into_any()))
}
