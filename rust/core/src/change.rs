//! How much a label would change a Bayesian linear model: the fall of its mean predictive variance over the
//! pool, which is the expected squared error that the label takes away (A-optimality; Cohn, Ghahramani &
//! Jordan 1996).
//!
//! With the posterior covariance S and the noise variance σ², labelling x turns S into S − S x xᵀ S / (σ² +
//! xᵀ S x), and the mean over the pool of uᵀ S u falls by xᵀ G x / (σ² + xᵀ S x), G = S M S, M = mean u uᵀ.
//! So all gains are two quadratic forms a row, O(n d²), and no refit. S is kept in units of σ² and as a root, S / σ² = Bᵀ B,
//! so that both forms are of y = B x, and the gain is σ² yᵀ Q y / (1 + yᵀ y), Q = B M Bᵀ.
//!
//! The greedy batch keeps a = yᵀ Q y and b = yᵀ y of all rows and downdates them after each pick: two products
//! a row, O(n d) a pick. That cancels where a pick takes nearly all of them away, as it does where rows are long beside the
//! ridge. So it also keeps the size of what was subtracted; once a row that rounding might make the best has fallen by 10^5
//! of it, B and Q say all forms anew, O(n d²). B is turned so that the pick lies along one row of it, and that row is
//! shortened, which cancels nothing. To downdate S itself left no digit of ages and years beside an income.
//! Float64 throughout.

use fearless_simd::Simd;

use crate::distance::fault_of;
use crate::error::Error;
use crate::pool::{InOrder, Par, Watch};
use crate::real::Real;
use crate::row_sums::{Dot, dot};
use crate::rows::Rows;
use crate::select::{Open, Picks};
use crate::simd::{Level, dispatch};
use crate::tile::{Epilogue, Packed, STRIP, products};

/// Numbers that a thread takes at a time.
const STEP: usize = 1 << 15;

/// Rows whose products are summed before the d² sums go to the others: fewer of wide rows, so that a block stays in the
/// cache, took 8 times as long with 4,000 columns.
const SUMMED: usize = 256;

/// What rounding takes off a form, of the size of what it was made of.
const ROUNDING: f64 = 32.0 * f64::EPSILON;

/// What it may take off the gain of a pick, of itself.
const EXACT: f64 = 1e-9;

/// A Bayesian linear model and a pool, as matrices of d × d.
#[derive(Debug, Clone, Copy)]
pub struct Posterior<'a> {
    /// B, a root of the covariance of the weights in units of σ²: S / σ² = Bᵀ B.
    pub root: &'a [f64],
    /// Q = B M Bᵀ, M the mean of u uᵀ over the pool.
    pub moment: &'a [f64],
    /// σ², the variance of the noise.
    pub noise: f64,
}

/// Σ x xᵀ over the rows, d × d. O(n d²).
///
/// # Errors
/// [`Error::Row`] for the first row that is not finite; [`Error::Stopped`].
pub fn gram(rows: &Rows<'_, f64>, argument: &'static str, par: Par<'_>) -> Result<Vec<f64>, Error> {
    gram_of(rows, None, argument, par)
}

/// Σ y yᵀ, y = B x or, without a root, x.
fn gram_of(
    rows: &Rows<'_, f64>,
    root: Option<&[f64]>,
    argument: &'static str,
    par: Par<'_>,
) -> Result<Vec<f64>, Error> {
    let (n, d) = (rows.len(), rows.width());
    some_columns(d, argument)?;
    let root = root.map(|root| packed(root, d, par.level));
    let whole = InOrder::new(vec![0.0; d * d]);
    let start = || (Vec::new(), Vec::new(), Packed::default(), Vec::new());
    let jobs = (0..n).step_by(SUMMED).enumerate();
    par.run(jobs, n * d * (d / 8 + 1), start, |(block, turned, packed, strip), (number, first)| {
        let given = rows.read(first..first + SUMMED, block);
        check(given, d, first, argument)?;
        let made = root.as_ref().map(|root| stored(given, (root, d), strip, par.level));
        let given = made.as_deref().unwrap_or(given);
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
        whole.add(number, stored(turned, (packed, d), strip, par.level));
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

/// The products of rows with those of a small matrix, row by row.
fn stored(
    rows: &[f64],
    (packed, width): (&Packed<f64>, usize),
    strip: &mut Vec<f64>,
    level: Level,
) -> Vec<f64> {
    let mut store = Store { width, out: Vec::with_capacity(rows.len() / packed.depth() * width) };
    products(rows, packed, &mut store, strip, level);
    store.out
}

fn packed(matrix: &[f64], d: usize, level: Level) -> Packed<f64> {
    let mut packed = Packed::default();
    packed.pack(matrix, d, level);
    packed
}

/// What is known of a row.
#[derive(Debug, Clone, Copy, Default)]
struct Form {
    /// yᵀ Q y.
    a: f64,
    /// yᵀ y.
    b: f64,
    /// The sizes of all that `a` and `b` were made of by sums and differences.
    sizes: (f64, f64),
}

impl Form {
    /// The gain in units of σ²; NaN where the forms have overflowed.
    fn gain(&self) -> f64 {
        not_negative(self.a) / (1.0 + not_negative(self.b))
    }

    /// Whether rounding might hide that this is better than the best, or how good it is.
    fn is_unclear(&self, best: f64) -> bool {
        // No form is below 0: more was taken away than its size tells.
        if self.a < -ROUNDING * self.sizes.0 || self.b < -ROUNDING * self.sizes.1 {
            return true;
        }
        let (most, rounding) = (best * (1.0 + not_negative(self.b)), self.sizes.0 + best * self.sizes.1);
        let rounding = rounding * ROUNDING;
        rounding > EXACT * most && self.a + rounding >= most
    }
}

/// What rounding has taken below 0 is 0; `max` would make 0 of NaN, too.
fn not_negative(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// The forms of rows y: their products with the rows of Q, times y.
struct Forms<'a> {
    rows: &'a [f64],
    d: usize,
    out: &'a mut [Form],
}

impl Epilogue<f64> for Forms<'_> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [f64], width: usize) {
        for (r, row) in pairs.chunks_exact(width).enumerate() {
            let y = &self.rows[(first + r) * self.d..][..self.d];
            let (a, b) = (dot(simd, &row[..self.d], y), dot(simd, y, y));
            self.out[first + r] = Form { a, b, sizes: (a, b) };
        }
    }
}

/// What is known of each row.
fn forms(rows: &Rows<'_, f64>, (root, moment): (&[f64], &[f64]), par: Par<'_>) -> Result<Vec<Form>, Error> {
    let (n, d) = (rows.len(), rows.width());
    some_columns(d, "features")?;
    for (argument, matrix) in [("root", root), ("moment", moment)] {
        if matrix.len() != d * d {
            return Err(Error::shape(argument, &format_args!("{d} x {d} numbers"), &matrix.len()));
        }
    }
    let (root, moment) = (packed(root, d, par.level), packed(moment, d, par.level));
    let step = (STEP / d.max(1)).next_multiple_of(STRIP);
    let mut all = vec![Form::default(); n];
    let start = || (Vec::new(), Vec::new());
    let jobs = all.chunks_mut(step).enumerate();
    par.run(jobs, n * d * (d / 4 + 1), start, |(block, strip), (number, out)| {
        let rows = rows.read(number * step..(number + 1) * step, block);
        check(rows, d, number * step, "features")?;
        let rows = &stored(rows, (&root, d), strip, par.level)[..];
        products(rows, &moment, &mut Forms { rows, d, out }, strip, par.level);
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
    for (out, form) in out.iter_mut().zip(forms(rows, (posterior.root, posterior.moment), par)?) {
        *out = T::from_f64(posterior.noise * form.gain());
    }
    Ok(())
}

/// A batch picked greedily: each time the row of the largest gain, given those before it. O(n d² + k (n d +
/// d²)), and O(n d²) again where the forms have fallen far. It ends early, with the value NaN, where forms overflow. The
/// second result is the number of gains that were computed.
///
/// # Errors
/// As [`variance_reduction`]; [`Error::BatchTooLarge`].
pub fn greedy_batch(
    rows: &Rows<'_, f64>,
    posterior: &Posterior<'_>,
    k: usize,
    mut quotas: Open<'_>,
    par: Par<'_>,
) -> Result<(Picks<f64>, usize), Error> {
    let (n, d) = (rows.len(), rows.width());
    quotas.check(k, 0..n)?;
    let mut open: Vec<bool> = (0..n).map(|row| quotas.can(row)).collect();
    let mut all = forms(rows, (posterior.root, posterior.moment), par)?;
    let mut scored = n;
    let mut model = Model { root: posterior.root.to_vec(), moment: posterior.moment.to_vec() };
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let mut block = Vec::new();
    let mut anew = true;
    let mut watch = Watch::default();
    while picks.indices.len() < k {
        watch.ask(par, picks.indices.len() as f64 / k as f64)?;
        let mut best: Option<(usize, f64)> = None;
        for i in (0..n).filter(|&i| open[i]) {
            let gain = all[i].gain();
            if best.is_none_or(|(_, value)| gain > value || gain.is_nan()) {
                best = Some((i, gain));
            }
        }
        let Some((pick, value)) = best else { break };
        if !anew && all.iter().zip(&open).any(|(form, open)| *open && form.is_unclear(value)) {
            let total = gram_of(rows, Some(&model.root), "features", par)?;
            model.moment = total.into_iter().map(|sum| sum / n as f64).collect();
            all = forms(rows, (&model.root, &model.moment), par)?;
            scored += n;
            anew = true;
            continue;
        }
        open[pick] = false;
        for &row in quotas.take(pick) {
            open[row] = false;
        }
        picks.indices.push(pick);
        picks.values.push(posterior.noise * value);
        if picks.indices.len() == k || value.is_nan() {
            break;
        }
        scored += n;
        let Fall { v, w, s, vmv } = model.label(rows.read(pick..pick + 1, &mut block), par.level);
        let step = (STEP / d).max(1);
        par.run(all.chunks_mut(step).enumerate(), 2 * n * d, Vec::new, |block, (number, forms)| {
            let rows = rows.read(number * step..(number + 1) * step, block);
            for (x, form) in rows.chunks_exact(d).zip(forms) {
                let vx = dispatch(par.level, Dot(&v, x)) / s;
                let wx = dispatch(par.level, Dot(&w, x));
                form.a += vx * (vx * vmv - 2.0 * wx);
                form.b -= vx * vx * s;
                form.sizes.0 += vx.abs() * (vx.abs() * vmv + 2.0 * wx.abs());
            }
            Ok(())
        })?;
        anew = false;
    }
    Ok((picks, scored))
}

/// A posterior that labels change.
struct Model {
    root: Vec<f64>,
    moment: Vec<f64>,
}

/// What the label of x takes away: S falls by v vᵀ / s and G by (v wᵀ + w vᵀ) / s − v vᵀ (vᵀ M v) / s².
struct Fall {
    v: Vec<f64>,
    w: Vec<f64>,
    s: f64,
    vmv: f64,
}

impl Model {
    /// Labels a row. With y = B x the new root is (I − y yᵀ / s)^½ B, here: turned by H = I − t h hᵀ so that y
    /// lies along the axis of its largest number, and shortened there.
    fn label(&mut self, x: &[f64], level: Level) -> Fall {
        let (d, y) = (x.len(), times(&self.root, x, level));
        let q = times(&self.moment, &y, level);
        let squared = dispatch(level, Dot(&y, &y));
        let s = 1.0 + squared;
        let (v, w) = (across(&self.root, &y), across(&self.root, &q));
        let vmv = dispatch(level, Dot(&y, &q));
        let axis = (0..d).fold(0, |best, at| if y[at].abs() > y[best].abs() { at } else { best });
        if squared > f64::MIN_POSITIVE {
            let mut h = y;
            h[axis] += squared.sqrt().copysign(h[axis]);
            let t = 2.0 / dispatch(level, Dot(&h, &h));
            let along = across(&self.root, &h);
            for (row, &h) in self.root.chunks_exact_mut(d).zip(&h) {
                row.iter_mut().zip(&along).for_each(|(entry, along)| *entry -= t * h * along);
            }
            let g = times(&self.moment, &h, level);
            let hg = dispatch(level, Dot(&h, &g));
            for (i, row) in self.moment.chunks_exact_mut(d).enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    *entry -= t * (h[i] * g[j] + g[i] * h[j]) - t * hg * (t * h[i] * h[j]);
                }
            }
            let short = (1.0 / s).sqrt();
            self.root[axis * d..][..d].iter_mut().for_each(|entry| *entry *= short);
            self.moment[axis * d..][..d].iter_mut().for_each(|entry| *entry *= short);
            self.moment.iter_mut().skip(axis).step_by(d).for_each(|entry| *entry *= short);
        }
        Fall { v, w, s, vmv }
    }
}

/// A matrix times a vector.
fn times(matrix: &[f64], x: &[f64], level: Level) -> Vec<f64> {
    matrix.chunks_exact(x.len()).map(|row| dispatch(level, Dot(row, x))).collect()
}

/// A matrix turned, times a vector.
fn across(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; x.len()];
    for (row, &x) in matrix.chunks_exact(x.len()).zip(x) {
        sum.iter_mut().zip(row).for_each(|(sum, entry)| *sum += x * entry);
    }
    sum
}
