//! Squared distances of all pairs of rows, from the products of `tile.rs`.
//!
//! ‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y cancels where x and y are near each other, compared with their distance from the origin.
//! Two things keep that harmless. Rows are centred first, so that "the origin" is in the middle of the pool. And a pair whose
//! result is under [`Real::NEAR`] of ‖x‖² + ‖y‖² is computed again as Σ (x − y)² from the rows as they were given:
//! duplicates are at exactly 0, and every other squared distance is right to a few eps / NEAR, 10^-5 in float32, of itself. In most
//! pools such pairs are rare; in one that is nothing but tight clusters far apart they cost up to six times the product.

use std::ops::Range;

use fearless_simd::Simd;
use fearless_simd::prelude::*;

use crate::error::{Error, Fault};
use crate::real::Real;
use crate::row_sums::{Squares, each_row, room};
use crate::rows::Rows;
use crate::simd::{Kernel, Level, dispatch};
use crate::sum::tree_sum;
use crate::tile::{Epilogue, Packed, products};

/// What rows are compared by.
#[derive(Debug, Clone)]
pub(crate) enum Space<T> {
    /// Their distance; the rows are centred here.
    Euclidean(Vec<T>),
    /// The distance of the rows scaled to length 1, whose square is 2 (1 − cos). A row of zeros has cosine 0 to all.
    Cosine,
}

impl<T: Real> Space<T> {
    /// Euclidean, centred in the middle of a matrix.
    pub(crate) fn around(rows: &Rows<'_, T>) -> Self {
        Self::Euclidean(middle(rows))
    }
}

/// The mean of up to 1024 finite rows spread over a matrix: near enough to its middle, and the same whatever the threads.
pub(crate) fn middle<T: Real>(rows: &Rows<'_, T>) -> Vec<T> {
    let step = rows.len().div_ceil(1024).max(1);
    let mut sums = vec![0.0; rows.width()];
    let mut block = Vec::new();
    let mut count = 0.0_f64;
    for i in (0..rows.len()).step_by(step) {
        let row = rows.read(i..i + 1, &mut block);
        if row.iter().all(|x| x.to_f64().is_finite()) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.to_f64());
            count += 1.0;
        }
    }
    sums.into_iter().map(|sum| T::from_f64(sum / count.max(1.0))).collect()
}

/// A block of rows, ready to be the left side of pairs, or when packed the right one.
#[derive(Debug, Default)]
pub(crate) struct Block<T> {
    /// As they are compared: as they were given, or of length 1.
    rows: Vec<T>,
    centred: Vec<T>,
    /// ‖x − centre‖², +∞ for rows that only fill the last vector: these are infinitely far from everything.
    norms: Vec<T>,
    packed: Packed<T>,
    d: usize,
}

impl<T: Real> Block<T> {
    /// Loads some rows, not packed.
    pub(crate) fn load(
        &mut self,
        rows: &Rows<'_, T>,
        range: Range<usize>,
        space: &Space<T>,
        argument: &'static str,
        level: Level,
    ) -> Result<(), Error> {
        self.d = rows.width();
        let first = range.start;
        if rows.is_contiguous() {
            self.rows.clear();
            self.rows.extend_from_slice(rows.read(range, &mut Vec::new()));
        } else {
            let count = rows.read(range, &mut self.rows).len();
            self.rows.truncate(count);
        }
        let count = self.rows.len() / self.d;
        self.centred.clear();
        let mut norms = vec![T::ZERO; count];
        match space {
            Space::Euclidean(centre) => {
                for row in self.rows.chunks_exact(self.d) {
                    self.centred.extend(row.iter().zip(centre).map(|(&x, &c)| x - c));
                }
                dispatch(level, Norms { rows: &self.centred, d: self.d, out: &mut norms });
                check(&norms, &self.rows, self.d, first, argument)?;
            }
            Space::Cosine => {
                dispatch(level, Norms { rows: &self.rows, d: self.d, out: &mut norms });
                check(&norms, &self.rows, self.d, first, argument)?;
                for row in self.rows.chunks_exact_mut(self.d) {
                    normalise(row);
                }
                self.centred.extend_from_slice(&self.rows);
                // Of length 1, or 0 and then at a distance of √2 from everything, itself included.
                norms.fill(T::ONE);
            }
        }
        self.norms.clear();
        self.norms.extend_from_slice(&norms);
        Ok(())
    }

    /// Makes the rows loaded ready to be the columns of pairs.
    pub(crate) fn pack(&mut self, level: Level) {
        self.packed.pack(&self.centred, self.d, level);
        self.norms.resize(self.packed.width(), T::INFINITY);
    }

    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() / self.d.max(1)
    }

    /// The largest squared norm.
    pub(crate) fn largest_norm(&self) -> f64 {
        self.norms[..self.len()].iter().fold(0.0, |largest, norm| largest.max(norm.to_f64()))
    }

    /// Columns, as [`Packed::width`].
    pub(crate) fn width(&self) -> usize {
        self.packed.width()
    }

    fn row(&self, i: usize) -> &[T] {
        &self.rows[i * self.d..][..self.d]
    }
}

/// Fails for the first row whose squared norm is no finite number, or so large that a squared distance, up to four times
/// as much, might not be.
fn check<T: Real>(
    norms: &[T],
    rows: &[T],
    d: usize,
    first: usize,
    argument: &'static str,
) -> Result<(), Error> {
    let fits = |norm: &T| norm.to_f64() <= T::LARGEST / 4.0;
    let Some(row) = norms.iter().position(|norm| !fits(norm)) else { return Ok(()) };
    Err(Error::Row { argument, row: first + row, member: None, fault: fault_of(&rows[row * d..][..d]) })
}

/// What is wrong with a row whose squared norm is no finite number.
pub(crate) fn fault_of<T: Real>(row: &[T]) -> Fault {
    let column = row.iter().position(|x| !x.to_f64().is_finite());
    column.map_or(Fault::Overflow, |column| Fault::NotFinite {
        column: Some(column),
        value: row[column].to_f64(),
    })
}

/// Scales a row to length 1, unless it is 0. In float64, as the squares of small float32 numbers vanish, and first by a power
/// of 2, which rounds nothing; squares are added in 8 sums over every eighth coordinate, then as a tree.
pub(crate) fn normalise<T: Real>(row: &mut [T]) {
    let mut largest = [0.0_f64; 8];
    for part in row.chunks(8) {
        for (largest, x) in largest.iter_mut().zip(part) {
            let x = x.to_f64().abs();
            *largest = if x > *largest { x } else { *largest };
        }
    }
    let largest = largest.into_iter().fold(0.0, f64::max);
    if largest > 0.0 {
        let exponent = largest.to_bits() >> 52;
        let scale = f64::from_bits(2046_u64.saturating_sub(exponent).max(1) << 52);
        let mut sums = [0.0; 8];
        for part in row.chunks(8) {
            for (sum, x) in sums.iter_mut().zip(part) {
                let x = x.to_f64() * scale;
                *sum += x * x;
            }
        }
        let inverse = 1.0 / tree_sum(&sums, &[]).sqrt();
        for x in row {
            *x = T::from_f64(x.to_f64() * scale * inverse);
        }
    }
}

/// Hands the squared distances of all rows of two blocks to an epilogue, strip by strip.
pub(crate) fn squared_distances<T: Real, E: Epilogue<T>>(
    left: &Block<T>,
    right: &Block<T>,
    epilogue: &mut E,
    strip: &mut Vec<T>,
    level: Level,
) {
    products(&left.centred, &right.packed, &mut Squared { left, right, epilogue }, strip, level);
}

/// Makes squared distances of products.
struct Squared<'a, T, E> {
    left: &'a Block<T>,
    right: &'a Block<T>,
    epilogue: &'a mut E,
}

impl<T: Real, E: Epilogue<T>> Epilogue<T> for Squared<'_, T, E> {
    #[inline(always)]
    fn strip<S: Simd>(&mut self, simd: S, first: usize, pairs: &mut [T], width: usize) {
        let (near, minus_two) = (T::splat(simd, T::NEAR), T::splat(simd, T::from_f64(-2.0)));
        for (r, row) in pairs.chunks_exact_mut(width).enumerate() {
            let x2 = T::splat(simd, self.left.norms[first + r]);
            for (at, (products, y2)) in
                row.chunks_exact_mut(T::LANES).zip(self.right.norms.chunks_exact(T::LANES)).enumerate()
            {
                let norms = x2 + T::load(simd, y2);
                let d2 = T::load(simd, products).mul_add(minus_two, norms);
                d2.store_slice(products);
                let again = d2.simd_lt(norms * near).to_bitmask();
                if again != 0 {
                    self.again(first + r, at * T::LANES, again, products);
                }
            }
        }
        self.epilogue.strip(simd, first, pairs, width);
    }
}

impl<T: Real, E> Squared<'_, T, E> {
    /// Computes near pairs again: those of a row with the columns behind `at` whose bit is set.
    #[inline(never)]
    fn again(&self, row: usize, at: usize, mut set: u64, out: &mut [T]) {
        while set != 0 {
            let lane = set.trailing_zeros() as usize;
            out[lane] = squared_distance(self.left.row(row), self.right.row(at + lane));
            set &= set - 1;
        }
    }
}

/// Σ (x − y)² of one pair, in 16 sums that are then added as a tree: the same at every SIMD level.
pub(crate) fn squared_distance<T: Real>(x: &[T], y: &[T]) -> T {
    let mut sums = [T::ZERO; 16];
    for (x, y) in x.chunks(16).zip(y.chunks(16)) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            let difference = x - y;
            *sum += difference * difference;
        }
    }
    T::from_f64(tree_sum(&sums, &[]))
}

/// ‖x‖² of each row.
struct Norms<'a, T> {
    rows: &'a [T],
    d: usize,
    out: &'a mut [T],
}

impl<T: Real> Kernel for Norms<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut lanes = vec![T::ZERO; room::<T>(1)];
        let groups = self.rows.chunks(T::LANES * self.d).zip(self.out.chunks_mut(T::LANES));
        for (group, out) in groups {
            let [squares] = each_row(simd, group, self.d, &mut lanes, Squares);
            out.copy_from_slice(&squares.as_slice()[..out.len()]);
        }
    }
}
