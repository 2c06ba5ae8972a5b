//! Squared distances of all pairs of rows, from the products of `tile.rs`.
//!
//! ‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y cancels where x and y are near each other, compared with their distance
//! from the origin. Two things keep that harmless. Rows are centred first, so that "the origin" is in the
//! middle of the pool, unless it is near there already. And a pair whose result is under [`Real::NEAR`] of
//! ‖x‖² + ‖y‖² is computed again as Σ (x − y)² from the rows as they were given: duplicates are at exactly 0,
//! and every other squared distance is right to some eps / NEAR, less than 10^-4 in float32, of itself. In most pools
//! such pairs are rare; in one that is nothing but tight clusters far apart they cost up to six times the
//! product.

use std::ops::Range;

use fearless_simd::prelude::*;
use fearless_simd::{Simd, f64x8};

use crate::error::{Error, Fault};
use crate::real::Real;
use crate::row_sums::{Squares, each_row, padded, room, store};
use crate::rows::Rows;
use crate::simd::{Kernel, Level, dispatch};
use crate::sum::tree_sum;
use crate::tile::{Epilogue, Packed, products};

/// What rows are compared by.
#[derive(Debug, Clone)]
pub(crate) enum Space<T> {
    /// Their distance; the rows are centred here, or where they lie around the origin anyway left as they are.
    Euclidean(Option<Vec<T>>),
    /// The distance of the rows scaled to length 1, whose square is 2 (1 − cos). A row of zeros has cosine 0 to all.
    Cosine,
}

impl<T: Real> Space<T> {
    /// Euclidean, centred in the middle of a matrix. Where that would not take a quarter off the squared norms, it is not
    /// worth a copy of each row (k-center took 1.1 times as long).
    ///
    /// Middle and norms are medians over a few groups of rows: where one corrupt row of 10^6 counted, the others were not
    /// centred, all their pairs were near, and the k nearest took ten times as long.
    pub(crate) fn around(rows: &Rows<'_, T>) -> Self {
        let groups = sample(rows, GROUPS);
        let median = |numbers: &mut dyn Iterator<Item = f64>| {
            let mut numbers: Vec<f64> = numbers.collect();
            let half = numbers.len() / 2;
            *numbers.select_nth_unstable_by(half, f64::total_cmp).1
        };
        let middle: Vec<f64> =
            (0..rows.width()).map(|at| median(&mut groups.iter().map(|(mean, _)| mean[at]))).collect();
        let squared = median(&mut groups.iter().map(|&(_, squared)| squared));
        let of_middle: f64 = middle.iter().map(|x| x * x).sum();
        let near = squared.is_finite() && of_middle <= squared / 4.0;
        Self::Euclidean((!near).then(|| narrowed(middle)))
    }
}

/// The mean of up to 1024 finite rows spread over a matrix: near enough to its middle, and the same whatever
/// the threads.
pub(crate) fn middle<T: Real>(rows: &Rows<'_, T>) -> Vec<T> {
    narrowed(sample(rows, 1).swap_remove(0).0)
}

/// Groups of which a few may hold corrupt rows.
const GROUPS: usize = 15;

fn narrowed<T: Real>(row: Vec<f64>) -> Vec<T> {
    row.into_iter().map(T::from_f64).collect()
}

/// These rows dealt out to as many groups, or fewer if they are few, and of each group the mean and that of the
/// squared norms.
fn sample<T: Real>(rows: &Rows<'_, T>, groups: usize) -> Vec<(Vec<f64>, f64)> {
    let step = rows.len().div_ceil(1024).max(1);
    let mut sums = vec![(vec![0.0; rows.width()], 0.0, 0.0_f64); groups.min(rows.len()).max(1)];
    let mut block = Vec::new();
    let mut dealt = (0..sums.len()).cycle();
    for i in (0..rows.len()).step_by(step) {
        let row = rows.read(i..i + 1, &mut block);
        if row.iter().all(|x| x.to_f64().is_finite()) {
            let (sums, squared, count) = &mut sums[dealt.next().unwrap_or(0)];
            for (sum, x) in sums.iter_mut().zip(row.iter().map(|x| x.to_f64())) {
                *sum += x;
                *squared += x * x;
            }
            *count += 1.0;
        }
    }
    let means = sums.into_iter().enumerate().filter(|&(at, (_, _, count))| at == 0 || count > 0.0);
    means
        .map(|(_, (sums, squared, count))| {
            let count = count.max(1.0);
            (sums.into_iter().map(|sum| sum / count).collect(), squared / count)
        })
        .collect()
}

/// Rows that are asked for before they are gathered.
const AHEAD: usize = 4;

/// A block of rows, ready to be the left side of pairs, or when packed the right one.
#[derive(Debug, Default)]
pub(crate) struct Block<T> {
    /// As they were given, where they are centred.
    given: Vec<T>,
    /// As they are multiplied: centred, or of length 1, or as they were given.
    rows: Vec<T>,
    /// The squared norms of these, +∞ for rows that only fill the last vector: these are infinitely far from
    /// everything.
    norms: Vec<T>,
    packed: Packed<T>,
    d: usize,
}

impl<T: Real> Block<T> {
    /// Loads neighbouring rows, not packed.
    pub(crate) fn load(
        &mut self,
        rows: &Rows<'_, T>,
        range: Range<usize>,
        space: &Space<T>,
        argument: &'static str,
        level: Level,
    ) -> Result<(), Error> {
        let room = self.start(rows.width(), space);
        if rows.is_contiguous() {
            room.extend_from_slice(rows.read(range.clone(), &mut Vec::new()));
        } else {
            let count = rows.read(range.clone(), room).len();
            room.truncate(count);
        }
        self.prepare(space, level).map_err(|(row, fault)| at(argument, range.start + row, fault))
    }

    /// Loads rows by their numbers, not packed.
    pub(crate) fn gather(
        &mut self,
        rows: &Rows<'_, T>,
        mut which: impl ExactSizeIterator<Item = usize> + Clone,
        space: &Space<T>,
        argument: &'static str,
        level: Level,
    ) -> Result<(), Error> {
        let room = self.start(rows.width(), space);
        room.reserve(which.len() * rows.width());
        let mut one = Vec::new();
        let mut next = which.clone().skip(AHEAD);
        for row in which.clone() {
            if let Some(next) = next.next() {
                rows.ask_for(next);
            }
            room.extend_from_slice(rows.read(row..row + 1, &mut one));
        }
        self.prepare(space, level).map_err(|(row, fault)| at(argument, which.nth(row).unwrap_or(row), fault))
    }

    /// Where the rows are put as they were given. Those that are centred then overwrite what was there: cleared, they
    /// would be filled with zeros first.
    fn start(&mut self, d: usize, space: &Space<T>) -> &mut Vec<T> {
        self.d = d;
        self.given.clear();
        if matches!(space, Space::Euclidean(Some(_))) {
            return &mut self.given;
        }
        self.rows.clear();
        &mut self.rows
    }

    /// Makes rows what they are multiplied as. Fails for the first row whose squared norm is no finite
    /// number, or so large that a squared distance, up to four times as much, might not be.
    fn prepare(&mut self, space: &Space<T>, level: Level) -> Result<(), (usize, Fault)> {
        let d = self.d;
        if let Space::Euclidean(Some(centre)) = space {
            self.rows.resize(self.given.len(), T::ZERO);
            dispatch(level, Centred { given: &self.given, centre, rows: &mut self.rows });
        }
        self.norms.clear();
        self.norms.resize(self.rows.len() / d, T::ZERO);
        dispatch(level, Norms { rows: &self.rows, d, out: &mut self.norms });
        if let Some(row) = self.norms.iter().position(|norm| !fits(norm)) {
            let given = if self.given.is_empty() { &self.rows } else { &self.given };
            return Err((row, fault_of(&given[row * d..][..d])));
        }
        if matches!(space, Space::Cosine) {
            dispatch(level, Scaled { rows: &mut self.rows, d, norms: &self.norms });
            // Of length 1, or 0 and then at a distance of √2 from everything, itself included.
            self.norms.fill(T::ONE);
        }
        Ok(())
    }

    /// Makes the rows loaded ready to be the columns of pairs.
    pub(crate) fn pack(&mut self, level: Level) {
        self.packed.pack(&self.rows, self.d, level);
        self.norms.resize(self.packed.width(), T::INFINITY);
    }

    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len() / self.d.max(1)
    }

    /// The squared norms of the rows as they are multiplied.
    pub(crate) fn norms(&self) -> &[T] {
        &self.norms[..self.len()]
    }

    /// The largest of these.
    pub(crate) fn largest_norm(&self) -> f64 {
        self.norms().iter().fold(0.0, |largest, norm| largest.max(norm.to_f64()))
    }

    /// Columns, as [`Packed::width`].
    pub(crate) fn width(&self) -> usize {
        self.packed.width()
    }

    /// A row as it is compared: as it was given, or of length 1.
    pub(crate) fn row(&self, i: usize) -> &[T] {
        let rows = if self.given.is_empty() { &self.rows } else { &self.given };
        &rows[i * self.d..][..self.d]
    }
}

fn fits<T: Real>(norm: &T) -> bool {
    norm.to_f64() <= T::LARGEST / 4.0
}

fn at(argument: &'static str, row: usize, fault: Fault) -> Error {
    Error::Row { argument, row, member: None, fault }
}

/// What is wrong with a row whose squared norm is no finite number.
pub(crate) fn fault_of<T: Real>(row: &[T]) -> Fault {
    let column = row.iter().position(|x| !x.to_f64().is_finite());
    column.map_or(Fault::Overflow, |column| Fault::NotFinite {
        column: Some(column),
        value: row[column].to_f64(),
    })
}

/// Scales rows to length 1, in their own type; those of zeros stay.
pub(crate) fn unit_rows<T: Real>(rows: &mut [T], d: usize, level: Level) {
    let mut norms = vec![T::ZERO; rows.len() / d];
    dispatch(level, Norms { rows, d, out: &mut norms });
    dispatch(level, Scaled { rows, d, norms: &norms });
}

/// Scales a row to length 1, unless it is 0: first by a power of 2, which rounds nothing; squares are added
/// in 8 sums over every eighth coordinate, then as a tree. No operation is fused, so that the bits are the
/// same at every level.
pub(crate) fn normalise(row: &mut [f64], level: Level) {
    dispatch(level, Normalised(row));
}

struct Normalised<'a>(&'a mut [f64]);

impl Kernel for Normalised<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut largest = f64x8::splat(simd, 0.0);
        for part in self.0.chunks(8) {
            let x = padded::<f64, S>(simd, part).abs();
            largest = x.simd_gt(largest).select(x, largest);
        }
        let largest = largest.as_slice().iter().copied().fold(0.0, f64::max);
        if largest > 0.0 {
            let exponent = largest.to_bits() >> 52;
            let scale = f64x8::splat(simd, f64::from_bits(2046_u64.saturating_sub(exponent).max(1) << 52));
            let mut sums = f64x8::splat(simd, 0.0);
            for part in self.0.chunks(8) {
                let x = padded::<f64, S>(simd, part) * scale;
                sums += x * x;
            }
            let inverse = f64x8::splat(simd, 1.0 / tree_sum(sums.as_slice(), &[]).sqrt());
            for part in self.0.chunks_mut(8) {
                store(padded::<f64, S>(simd, part) * scale * inverse, part);
            }
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
    products(&left.rows, &right.packed, &mut Squared { left, right, epilogue }, strip, level);
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
    T::from_f64(sum_of_squares(x, y, |x, y| x - y))
}

/// Σ d² of the differences of one pair, in the type in which these are given.
pub(crate) fn sum_of_squares<T: Real, U: Real>(x: &[T], y: &[T], difference: impl Fn(T, T) -> U) -> f64 {
    let mut sums = [U::ZERO; 16];
    for (x, y) in x.chunks(16).zip(y.chunks(16)) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            let difference = difference(x, y);
            *sum += difference * difference;
        }
    }
    tree_sum(&sums, &[])
}

/// How far a squared distance of [`squared_distances`] can be from the true one, given the sum of the largest squared
/// norms. Of a product: (128 + d / 128) roundings of Σ |x y| ≤ ½ (‖x‖² + ‖y‖²); of the norms, the centring
/// and the rest, some more.
pub(crate) fn slack<T: Real>(d: usize, norms: f64) -> f64 {
    (160.0 + d as f64 / 64.0) * T::EPSILON.to_f64() * norms + vanishing::<T>(d)
}

/// How far a sum over d squares can be off because squares vanish: d times the smallest number, and a few.
pub(crate) fn vanishing<T: Real>(d: usize) -> f64 {
    8.0 * (d as f64 + 160.0) * T::TINY.to_f64() * T::EPSILON.to_f64()
}

/// x − centre for each row.
struct Centred<'a, T> {
    given: &'a [T],
    centre: &'a [T],
    rows: &'a mut [T],
}

impl<T: Real> Kernel for Centred<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let d = self.centre.len();
        for (given, row) in self.given.chunks_exact(d).zip(self.rows.chunks_exact_mut(d)) {
            let parts = given.chunks(T::LANES).zip(self.centre.chunks(T::LANES));
            for ((x, c), out) in parts.zip(row.chunks_mut(T::LANES)) {
                store(padded::<T, S>(simd, x) - padded(simd, c), out);
            }
        }
    }
}

/// x / ‖x‖ for each row. Where the squares may have vanished the row is scaled in float64.
struct Scaled<'a, T> {
    rows: &'a mut [T],
    d: usize,
    norms: &'a [T],
}

impl<T: Real> Kernel for Scaled<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (row, norm) in self.rows.chunks_exact_mut(self.d).zip(self.norms) {
            if *norm < T::SMALL {
                scale_faint(row);
                continue;
            }
            let inverse = T::splat(simd, T::from_f64(1.0 / norm.to_f64().sqrt()));
            for part in row.chunks_mut(T::LANES) {
                store(padded::<T, S>(simd, part) * inverse, part);
            }
        }
    }
}

#[cold]
#[inline(never)]
fn scale_faint<T: Real>(row: &mut [T]) {
    let mut wide: Vec<f64> = row.iter().map(|x| x.to_f64()).collect();
    normalise(&mut wide, Level::Baseline);
    row.iter_mut().zip(wide).for_each(|(x, wide)| *x = T::from_f64(wide));
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
            store(squares, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_corrupt_rows_do_not_move_the_middle() {
        for corrupt in [0, 1, 5] {
            let mut numbers: Vec<f64> = (0..2000_u32).map(|i| 100.0 + f64::from(i % 7)).collect();
            numbers[..2 * corrupt].fill(1e9);
            let Space::Euclidean(Some(centre)) = Space::around(&Rows::of(&numbers, 2)) else {
                panic!("rows far from the origin are centred")
            };
            assert!(centre.iter().all(|x| (x - 103.0).abs() < 0.5), "{centre:?}");
        }
        let mut numbers: Vec<f64> = (0..2000_u32).map(|i| f64::from(i % 7) - 3.0).collect();
        numbers[0] = 1e9;
        assert!(matches!(Space::around(&Rows::of(&numbers, 2)), Space::Euclidean(None)));
    }
}
