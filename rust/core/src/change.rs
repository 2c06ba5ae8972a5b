//! How much a label would change a Bayesian linear model: the fall of its mean predictive variance over the
//! pool, which is the expected squared error that the label takes away (A-optimality; Cohn, Ghahramani &
//! Jordan 1996).
//!
//! With the posterior covariance S and the noise variance σ², labelling x turns S into S − S x xᵀ S / (σ² +
//! xᵀ S x), and the mean over the pool of uᵀ S u falls by xᵀ G x / (σ² + xᵀ S x), G = S M S, M = mean u uᵀ.
//! So all gains are two quadratic forms a row, O(n d²), and no refit. The greedy batch keeps a = xᵀ G x and b
//! = xᵀ S x of all rows and downdates them after each pick: two products a row, O(n d) a pick. Float64
//! throughout: the forms are differences of nearly equal ones after many labels.

use fearless_simd::Simd;

use crate::distance::fault_of;
use crate::error::Error;
use crate::pool::{InOrder, Par};
use crate::real::Real;
use crate::row_sums::{Dot, dot};
use crate::rows::Rows;
use crate::select::{Open, Picks};
use crate::simd::{Level, dispatch};
use crate::tile::{Epilogue, Packed, STRIP, products};

/// Numbers that a thread takes at a time.
const STEP: usize = 1 << 15;

/// A Bayesian linear model and a pool, as matrices of d × d.
#[derive(Debug, Clone, Copy)]
pub struct Posterior<'a> {
    /// S, the covariance of the weights.
    pub covariance: &'a [f64],
    /// G = S M S, M the mean of u uᵀ over the pool.
    pub moment: &'a [f64],
    /// σ², the variance of the noise.
    pub noise: f64,
}

/// Σ x xᵀ over the rows, d × d. O(n d²).
///
/// # Errors
/// [`Error::Row`] for the first row that is not finite; [`Error::Stopped`].
pub fn gram(rows: &Rows<'_, f64>, argument: &'static str, par: Par<'_>) -> Result<Vec<f64>, Error> {
    let (n, d) = (rows.len(), rows.width());
    some_columns(d, argument)?;
    let step = (STEP / d.max(1)).clamp(1, 256);
    let whole = InOrder::new(vec![0.0; d * d]);
    let start = || (Vec::new(), Vec::new(), Packed::default(), Vec::new());
    let jobs = (0..n).step_by(step).enumerate();
    par.run(jobs, n * d * (d / 8 + 1), start, |(block, turned, packed, strip), (number, first)| {
        let given = rows.read(first..first + step, block);
        check(given, d, first, argument)?;
        // The columns of the block as rows: their products are those of the sum.
        let count = given.len() / d;
        turned.clear();
        turned.resize(given.len(), 0.0);
        for (i, row) in given.chunks_exact(d).enumerate() {
            for (j, &x) in row.iter().enumerate() {
                turned[j * count + i] = x;
            }
        }
        packed.pack(turned, count, par.level);
        let mut store = Store { width: d, out: Vec::with_capacity(d * d) };
        products(turned, packed, &mut store, strip, par.level);
        whole.add(number, store.out);
        Ok(())
    })?;
    Ok(whole.into_whole())
}

fn some_columns(d: usize, argument: &'static str) -> Result<(), Error> {
    if d > 0 { Ok(()) } else { Err(Error::shape(argument, &"at least one column", &"none")) }
}

fn check(rows: &[f64], d: usize, first: usize, argument: &'static str) -> Result<(), Error> {
    let Some(at) = rows.iter().position(|x| !x.is_finite()) else { return Ok(()) };
    let fault = fault_of(&rows[at / d * d..][..d]);
    Err(Error::Row { argument, row: first + at / d, member: None, fault })
}

/// Keeps the products of a block.
struct Store {
    width: usize,
    out: Vec<f64>,
}

impl Epilogue<f64> for Store {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, _: S, _: usize, pairs: &mut [f64], width: usize) {
        for row in pairs.chunks_exact(width) {
            self.out.extend_from_slice(&row[..self.width]);
        }
    }
}

/// xᵀ A x of rows: each row's products with the rows of A, times the row.
struct Forms<'a> {
    rows: &'a [f64],
    d: usize,
    out: Vec<f64>,
}

impl Epilogue<f64> for Forms<'_> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [f64], width: usize) {
        for (r, row) in pairs.chunks_exact(width).enumerate() {
            let x = &self.rows[(first + r) * self.d..][..self.d];
            self.out.push(dot(simd, &row[..self.d], x));
        }
    }
}

/// a = xᵀ G x and b = xᵀ S x of each row.
fn forms(rows: &Rows<'_, f64>, posterior: &Posterior<'_>, par: Par<'_>) -> Result<Vec<(f64, f64)>, Error> {
    let (n, d) = (rows.len(), rows.width());
    some_columns(d, "features")?;
    for (argument, matrix) in [("covariance", posterior.covariance), ("moment", posterior.moment)] {
        if matrix.len() != d * d {
            return Err(Error::shape(argument, &format_args!("{d} x {d} numbers"), &matrix.len()));
        }
    }
    let pack = |matrix: &[f64], level: Level| {
        let mut packed = Packed::default();
        packed.pack(matrix, d, level);
        packed
    };
    let (moment, covariance) = (pack(posterior.moment, par.level), pack(posterior.covariance, par.level));
    let step = (STEP / d.max(1)).next_multiple_of(STRIP);
    let mut all = vec![(0.0, 0.0); n];
    let start = || (Vec::new(), Vec::new());
    let jobs = all.chunks_mut(step).enumerate();
    par.run(jobs, n * d * (d / 4 + 1), start, |(block, strip), (number, all)| {
        let rows = rows.read(number * step..(number + 1) * step, block);
        check(rows, d, number * step, "features")?;
        let mut of = |packed: &Packed<f64>| {
            let mut forms = Forms { rows, d, out: Vec::with_capacity(rows.len() / d) };
            products(rows, packed, &mut forms, strip, par.level);
            forms.out
        };
        for ((out, a), b) in all.iter_mut().zip(of(&moment)).zip(of(&covariance)) {
            *out = (a, b);
        }
        Ok(())
    })?;
    Ok(all)
}

/// The gain of each row. O(n d²).
///
/// # Errors
/// [`Error::Row`] for the first row that is not finite; [`Error::Shape`]; [`Error::Stopped`].
pub fn variance_reduction<T: Real>(
    rows: &Rows<'_, f64>,
    posterior: &Posterior<'_>,
    out: &mut [T],
    par: Par<'_>,
) -> Result<(), Error> {
    Error::unless_long(out.len(), rows.len())?;
    for (out, (a, b)) in out.iter_mut().zip(forms(rows, posterior, par)?) {
        *out = T::from_f64(a.max(0.0) / (posterior.noise + b.max(0.0)));
    }
    Ok(())
}

/// A batch picked greedily: each time the row of the largest gain, given those before it. `second` is M, d × d;
/// O(n d² + k (n d + d²)).
///
/// # Errors
/// As [`variance_reduction`]; [`Error::BatchTooLarge`].
pub fn greedy_batch(
    rows: &Rows<'_, f64>,
    posterior: &Posterior<'_>,
    second: &[f64],
    k: usize,
    mut quotas: Open<'_>,
    par: Par<'_>,
) -> Result<Picks<f64>, Error> {
    let (n, d) = (rows.len(), rows.width());
    quotas.check(k, 0..n)?;
    let mut open: Vec<bool> = (0..n).map(|row| quotas.can(row)).collect();
    let mut forms = forms(rows, posterior, par)?;
    let mut covariance = posterior.covariance.to_vec();
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let mut block = Vec::new();
    while picks.indices.len() < k {
        let gain = |(a, b): (f64, f64)| a.max(0.0) / (posterior.noise + b.max(0.0));
        let mut best: Option<(usize, f64)> = None;
        for i in (0..n).filter(|&i| open[i]) {
            if best.is_none_or(|(_, value)| gain(forms[i]) > value) {
                best = Some((i, gain(forms[i])));
            }
        }
        let Some((pick, value)) = best else { break };
        open[pick] = false;
        if quotas.take(pick) {
            open.iter_mut().enumerate().for_each(|(row, open)| *open &= quotas.can(row));
        }
        picks.indices.push(pick);
        picks.values.push(value);
        if picks.indices.len() == k {
            break;
        }
        // S falls by v vᵀ / s and G by (v wᵀ + w vᵀ) / s − v vᵀ (vᵀ M v) / s².
        let x = rows.read(pick..pick + 1, &mut block).to_vec();
        let v = times(&covariance, &x, par.level);
        let mv = times(second, &v, par.level);
        let w = times(&covariance, &mv, par.level);
        let s = posterior.noise + dispatch(par.level, Dot(&v, &x));
        let vmv = dispatch(par.level, Dot(&v, &mv));
        for (row, &vi) in covariance.chunks_exact_mut(d).zip(&v) {
            for (entry, &vj) in row.iter_mut().zip(&v) {
                *entry -= vi * vj / s;
            }
        }
        let step = (STEP / d).max(1);
        par.run(forms.chunks_mut(step).enumerate(), 2 * n * d, Vec::new, |block, (number, forms)| {
            let rows = rows.read(number * step..(number + 1) * step, block);
            for (x, (a, b)) in rows.chunks_exact(d).zip(forms) {
                let vx = dispatch(par.level, Dot(&v, x)) / s;
                let wx = dispatch(par.level, Dot(&w, x));
                *a += vx * (vx * vmv - 2.0 * wx);
                *b -= vx * vx * s;
            }
            Ok(())
        })?;
    }
    Ok(picks)
}

/// A matrix times a vector.
fn times(matrix: &[f64], x: &[f64], level: Level) -> Vec<f64> {
    matrix.chunks_exact(x.len()).map(|row| dispatch(level, Dot(row, x))).collect()
}
