//! Rows of a few numbers turned into lanes: the numbers of one column side by side, a row in each lane.
//!
//! A score of a short row is best computed for 16 rows at once. The turn costs as much as the arithmetic if done
//! carelessly; measured on 16 rows of 10 float32 (Zen 4, AVX-512): a full 16 × 16 network of two-source permutes
//! 190 cycles, one scalar load a number 160, loading 128-bit pieces of four rows into one register and turning
//! 4 × 4 blocks within their 128 bits 70. The last is what stands here, with two rows in a register at AVX2 (one there,
//! and the columns behind the last whole four of them number by number: margin took 2.7 times as long on Zen 3, whose
//! wide loads also waited for two narrow stores each). A turn only moves numbers, so every level has the same result.

use fearless_simd::prelude::*;
use fearless_simd::{Simd, f32x4, f64x2};

use crate::real::Real;

/// Turns 16 rows of c numbers each: column j goes to `columns[16 j..]`.
///
/// `columns` holds 16 numbers for each column, c rounded up to a multiple of 4.
#[inline(always)]
pub(crate) fn sixteen_rows<S: Simd>(simd: S, rows: &[f32], c: usize, columns: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if let (Some(simd), 2) = (simd.level().as_avx512(), c) {
        return avx512::sixteen_rows_of_two(simd, rows, columns);
    } else if let (Some(simd), 2) = (simd.level().as_avx2(), c) {
        return avx2::sixteen_rows_of_two(simd, rows, columns);
    }
    if rows.len() < 15 * c + c.next_multiple_of(4) {
        return one_by_one(rows, c, columns, 16);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = simd.level().as_avx512() {
        return avx512::sixteen_rows(simd, rows, c, columns);
    } else if let Some(simd) = simd.level().as_avx2() {
        return avx2::sixteen_rows(simd, rows, c, columns);
    }
    for j in (0..c).step_by(4) {
        for r in (0..16).step_by(4) {
            let row = (r * c + j, c);
            let piece = [
                piece(simd, rows, row, 0),
                piece(simd, rows, row, 1),
                piece(simd, rows, row, 2),
                piece(simd, rows, row, 3),
            ];
            let (a, b) = (piece[0].zip_low(piece[2]), piece[1].zip_low(piece[3]));
            let (d, e) = (piece[0].zip_high(piece[2]), piece[1].zip_high(piece[3]));
            a.zip_low(b).store_slice(&mut columns[j * 16 + r..][..4]);
            a.zip_high(b).store_slice(&mut columns[(j + 1) * 16 + r..][..4]);
            d.zip_low(e).store_slice(&mut columns[(j + 2) * 16 + r..][..4]);
            d.zip_high(e).store_slice(&mut columns[(j + 3) * 16 + r..][..4]);
        }
    }
}

/// Four numbers, i rows of c numbers below a place.
#[inline(always)]
fn piece<S: Simd>(simd: S, rows: &[f32], (at, c): (usize, usize), i: usize) -> f32x4<S> {
    f32x4::from_slice(simd, &rows[at + i * c..][..4])
}

/// Turns 8 rows of c numbers each: column j goes to `columns[8 j..]`.
///
/// `columns` holds 8 numbers for each column, c rounded up to a multiple of 2.
#[inline(always)]
pub(crate) fn eight_rows<S: Simd>(simd: S, rows: &[f64], c: usize, columns: &mut [f64]) {
    if rows.len() < 7 * c + c.next_multiple_of(2) {
        return one_by_one(rows, c, columns, 8);
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = simd.level().as_avx512() {
        return avx512::eight_rows(simd, rows, c, columns);
    } else if let Some(simd) = simd.level().as_avx2() {
        return avx2::eight_rows(simd, rows, c, columns);
    }
    for j in (0..c).step_by(2) {
        for r in (0..8).step_by(2) {
            let a = f64x2::from_slice(simd, &rows[r * c + j..][..2]);
            let b = f64x2::from_slice(simd, &rows[(r + 1) * c + j..][..2]);
            a.zip_low(b).store_slice(&mut columns[j * 8 + r..][..2]);
            a.zip_high(b).store_slice(&mut columns[(j + 1) * 8 + r..][..2]);
        }
    }
}

/// Turns the first LANES short rows; the lanes of rows that are not there hold 0. Rows behind these,
/// if any, let whole registers be read over their end.
#[inline(always)]
pub(crate) fn turn<T: Real, S: Simd>(simd: S, rows: &[T], c: usize, columns: &mut [T]) {
    if rows.len() >= T::LANES * c {
        T::columns(simd, rows, c, columns);
    } else {
        turn_few(rows, c, columns);
    }
}

#[cold]
#[inline(never)]
fn turn_few<T: Real>(rows: &[T], c: usize, columns: &mut [T]) {
    columns[..T::LANES * c].fill(T::ZERO);
    one_by_one(rows, c, columns, T::LANES);
}

/// Turns up to `lanes` rows, number by number. Not inlined: it is for the last rows of a block, and would take the
/// registers of the loop over all others.
#[inline(never)]
fn one_by_one<T: Copy>(rows: &[T], c: usize, columns: &mut [T], lanes: usize) {
    for (r, row) in rows.chunks_exact(c).take(lanes).enumerate() {
        for (x, column) in row.iter().zip(columns.chunks_exact_mut(lanes)) {
            column[r] = *x;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m512, __m512d, _mm_loadu_pd, _mm_loadu_ps, _mm512_castpd_ps, _mm512_castpd128_pd512,
        _mm512_castps_pd, _mm512_castps128_ps512, _mm512_loadu_ps, _mm512_mask_broadcast_f32x4,
        _mm512_mask_broadcast_f64x2, _mm512_permutex2var_ps, _mm512_setr_epi32, _mm512_storeu_pd,
        _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    /// Four numbers of each of the rows 0, 4, 8, 12.
    ///
    /// # Safety
    /// Four numbers must be readable at each of these rows, c numbers apart.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    unsafe fn every_fourth(rows: *const f32, c: usize) -> __m512 {
        // SAFETY: what the caller vouches for.
        unsafe {
            let x = _mm512_castps128_ps512(_mm_loadu_ps(rows));
            let x = _mm512_mask_broadcast_f32x4(x, 0x00f0, _mm_loadu_ps(rows.add(4 * c)));
            let x = _mm512_mask_broadcast_f32x4(x, 0x0f00, _mm_loadu_ps(rows.add(8 * c)));
            _mm512_mask_broadcast_f32x4(x, 0xf000, _mm_loadu_ps(rows.add(12 * c)))
        }
    }

    /// Two numbers of each of the rows 0, 2, 4, 6.
    ///
    /// # Safety
    /// Two numbers must be readable at each of these rows, c numbers apart.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    unsafe fn every_second(rows: *const f64, c: usize) -> __m512d {
        // SAFETY: what the caller vouches for.
        unsafe {
            let x = _mm512_castpd128_pd512(_mm_loadu_pd(rows));
            let x = _mm512_mask_broadcast_f64x2(x, 0x0c, _mm_loadu_pd(rows.add(2 * c)));
            let x = _mm512_mask_broadcast_f64x2(x, 0x30, _mm_loadu_pd(rows.add(4 * c)));
            _mm512_mask_broadcast_f64x2(x, 0xc0, _mm_loadu_pd(rows.add(6 * c)))
        }
    }

    fearless_simd::kernel!(
        #[inline(always)]
        pub(crate) fn sixteen_rows_of_two(simd: Avx512, rows: &[f32], columns: &mut [f32]) {
            let _ = simd;
            if rows.len() < 32 || columns.len() < 32 {
                return;
            }
            let (rows, columns) = (rows.as_ptr(), columns.as_mut_ptr());
            // The rows lie in two registers as they are: even places are one column, odd places the other.
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            // SAFETY: there are 32 numbers of each by the check above; 32 of each are touched.
            unsafe {
                let (a, b) = (_mm512_loadu_ps(rows), _mm512_loadu_ps(rows.add(16)));
                _mm512_storeu_ps(columns, _mm512_permutex2var_ps(a, even, b));
                _mm512_storeu_ps(columns.add(16), _mm512_permutex2var_ps(a, odd, b));
            }
        }
    );

    fearless_simd::kernel!(
        #[inline(always)]
        pub(crate) fn sixteen_rows(simd: Avx512, rows: &[f32], c: usize, columns: &mut [f32]) {
            let _ = simd;
            let quads = c.div_ceil(4);
            // Callers chose this path by the first condition and sized the buffer by the second.
            if rows.len() < 15 * c + 4 * quads || columns.len() < 64 * quads {
                return;
            }
            let (rows, columns) = (rows.as_ptr(), columns.as_mut_ptr());
            for quad in 0..quads {
                // SAFETY: the last number read is 15 c + 4 quad + 3 < 15 c + 4 quads, the last written is
                // 64 quad + 63 < 64 quads, both inside by the check above.
                unsafe {
                    let (rows, columns) = (rows.add(4 * quad), columns.add(64 * quad));
                    // Register i holds four numbers of each of the rows i, i + 4, i + 8, i + 12.
                    let (a, b) = (every_fourth(rows, c), every_fourth(rows.add(c), c));
                    let (d, e) = (every_fourth(rows.add(2 * c), c), every_fourth(rows.add(3 * c), c));
                    let (ab, de) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(d, e));
                    let low = (_mm512_castps_pd(ab), _mm512_castps_pd(de));
                    let (ab, de) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(d, e));
                    let high = (_mm512_castps_pd(ab), _mm512_castps_pd(de));
                    _mm512_storeu_ps(columns, _mm512_castpd_ps(_mm512_unpacklo_pd(low.0, low.1)));
                    _mm512_storeu_ps(columns.add(16), _mm512_castpd_ps(_mm512_unpackhi_pd(low.0, low.1)));
                    _mm512_storeu_ps(columns.add(32), _mm512_castpd_ps(_mm512_unpacklo_pd(high.0, high.1)));
                    _mm512_storeu_ps(columns.add(48), _mm512_castpd_ps(_mm512_unpackhi_pd(high.0, high.1)));
                }
            }
        }
    );

    fearless_simd::kernel!(
        #[inline(always)]
        pub(crate) fn eight_rows(simd: Avx512, rows: &[f64], c: usize, columns: &mut [f64]) {
            let _ = simd;
            let pairs = c.div_ceil(2);
            if rows.len() < 7 * c + 2 * pairs || columns.len() < 16 * pairs {
                return;
            }
            for pair in 0..pairs {
                // SAFETY: the last number read is 7 c + 2 pair + 1 < 7 c + 2 pairs, the last written is
                // 16 pair + 15 < 16 pairs, both inside by the check above.
                unsafe {
                    let rows = rows.as_ptr().add(2 * pair);
                    let columns = columns.as_mut_ptr().add(16 * pair);
                    let (a, b) = (every_second(rows, c), every_second(rows.add(c), c));
                    _mm512_storeu_pd(columns, _mm512_unpacklo_pd(a, b));
                    _mm512_storeu_pd(columns.add(8), _mm512_unpackhi_pd(a, b));
                }
            }
        }
    );
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256, __m256d, _mm_loadu_pd, _mm_loadu_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_loadu_ps,
        _mm256_permute4x64_pd, _mm256_set_m128, _mm256_set_m128d, _mm256_shuffle_ps, _mm256_storeu_pd,
        _mm256_storeu_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
    };

    /// Four numbers of a row, and of the one four rows below.
    ///
    /// # Safety
    /// Four numbers must be readable at each of these rows, c numbers apart.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn every_fourth(rows: *const f32, c: usize) -> __m256 {
        // SAFETY: what the caller vouches for.
        unsafe { _mm256_set_m128(_mm_loadu_ps(rows.add(4 * c)), _mm_loadu_ps(rows)) }
    }

    /// Two numbers of a row, and of the one two rows below.
    ///
    /// # Safety
    /// Two numbers must be readable at each of these rows, c numbers apart.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn every_second(rows: *const f64, c: usize) -> __m256d {
        // SAFETY: what the caller vouches for.
        unsafe { _mm256_set_m128d(_mm_loadu_pd(rows.add(2 * c)), _mm_loadu_pd(rows)) }
    }

    fearless_simd::kernel!(
        #[inline(always)]
        pub(crate) fn sixteen_rows_of_two(simd: Avx2, rows: &[f32], columns: &mut [f32]) {
            let _ = simd;
            if rows.len() < 32 || columns.len() < 32 {
                return;
            }
            for half in 0..2 {
                // SAFETY: there are 32 numbers of each by the check above; the last touched is 16 half + 15 of
                // rows, 16 + 8 half + 7 of columns.
                unsafe {
                    let (rows, columns) = (rows.as_ptr().add(16 * half), columns.as_mut_ptr().add(8 * half));
                    let (a, b) = (_mm256_loadu_ps(rows), _mm256_loadu_ps(rows.add(8)));
                    // Even places are one column, odd places the other; then the pairs of a and b in order.
                    let even = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
                    let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0b11_01_11_01>(a, b));
                    _mm256_storeu_pd(columns.cast(), _mm256_permute4x64_pd::<0b11_01_10_00>(even));
                    _mm256_storeu_pd(columns.add(16).cast(), _mm256_permute4x64_pd::<0b11_01_10_00>(odd));
                }
            }
        }
    );

    fearless_simd::kernel!(
        #[inline(always)]
        pub(crate) fn sixteen_rows(simd: Avx2, rows: &[f32], c: usize, columns: &mut [f32]) {
            let _ = simd;
            let quads = c.div_ceil(4);
            // Callers chose this path by the first condition and sized the buffer by the second.
            if rows.len() < 15 * c + 4 * quads || columns.len() < 64 * quads {
                return;
            }
            for quad in 0..quads {
                for half in 0..2 {
                    // SAFETY: the last number read is (8 half + 7) c + 4 quad + 3 < 15 c + 4 quads, the last
                    // written is 64 quad + 8 half + 55 < 64 quads, both inside by the check above.
                    unsafe {
                        let rows = rows.as_ptr().add(8 * half * c + 4 * quad);
                        let columns = columns.as_mut_ptr().add(64 * quad + 8 * half);
                        // Register i holds four numbers of each of the rows i and i + 4.
                        let (a, b) = (every_fourth(rows, c), every_fourth(rows.add(c), c));
                        let (d, e) = (every_fourth(rows.add(2 * c), c), every_fourth(rows.add(3 * c), c));
                        let (ab, de) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(d, e));
                        let low = (_mm256_castps_pd(ab), _mm256_castps_pd(de));
                        let (ab, de) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(d, e));
                        let high = (_mm256_castps_pd(ab), _mm256_castps_pd(de));
                        _mm256_storeu_ps(columns, _mm256_castpd_ps(_mm256_unpacklo_pd(low.0, low.1)));
                        _mm256_storeu_ps(columns.add(16), _mm256_castpd_ps(_mm256_unpackhi_pd(low.0, low.1)));
                        _mm256_storeu_ps(
                            columns.add(32),
                            _mm256_castpd_ps(_mm256_unpacklo_pd(high.0, high.1)),
                        );
                        _mm256_storeu_ps(
                            columns.add(48),
                            _mm256_castpd_ps(_mm256_unpackhi_pd(high.0, high.1)),
                        );
                    }
                }
            }
        }
    );

    fearless_simd::kernel!(
        #[inline(always)]
        pub(crate) fn eight_rows(simd: Avx2, rows: &[f64], c: usize, columns: &mut [f64]) {
            let _ = simd;
            let pairs = c.div_ceil(2);
            if rows.len() < 7 * c + 2 * pairs || columns.len() < 16 * pairs {
                return;
            }
            for pair in 0..pairs {
                for half in 0..2 {
                    // SAFETY: the last number read is (4 half + 3) c + 2 pair + 1 < 7 c + 2 pairs, the last
                    // written is 16 pair + 4 half + 11 < 16 pairs, both inside by the check above.
                    unsafe {
                        let rows = rows.as_ptr().add(4 * half * c + 2 * pair);
                        let columns = columns.as_mut_ptr().add(16 * pair + 4 * half);
                        let (a, b) = (every_second(rows, c), every_second(rows.add(c), c));
                        _mm256_storeu_pd(columns, _mm256_unpacklo_pd(a, b));
                        _mm256_storeu_pd(columns.add(8), _mm256_unpackhi_pd(a, b));
                    }
                }
            }
        }
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, Level, dispatch};

    struct Turn<'a, T>(&'a [T], usize);

    impl<T: Real> Kernel for Turn<'_, T> {
        type Output = Vec<T>;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Vec<T> {
            let mut columns = vec![T::ZERO; T::LANES * self.1.next_multiple_of(4)];
            T::columns(simd, self.0, self.1, &mut columns);
            columns.truncate(T::LANES * self.1);
            columns
        }
    }

    fn turns<T: Real>(extra: usize) {
        for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
            for c in 1..40 {
                let rows: Vec<T> = (0..T::LANES * c + extra).map(|i| T::from_f64(i as f64)).collect();
                let columns = dispatch(level, Turn(&rows, c));
                let expected: Vec<T> = (0..c)
                    .flat_map(|j| (0..T::LANES).map(move |r| T::from_f64((r * c + j) as f64)))
                    .collect();
                assert_eq!(columns, expected, "{level:?} {c}");
            }
        }
    }

    #[test]
    fn every_level_turns_rows_into_columns_with_and_without_numbers_behind_them() {
        for extra in [0, 1, 2, 3, 100] {
            turns::<f32>(extra);
            turns::<f64>(extra);
        }
    }
}
