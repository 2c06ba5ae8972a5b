//! Decisions out of bytes.

use querist_core::pool::Par;
use querist_core::simd::Level;

/// Gives the bytes as they are, and once these are used up, random ones that follow from them: a short input
/// is a case as rich as a long one.
pub(crate) struct Input<'a> {
    rest: &'a [u8],
    state: u64,
}

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data, state: 0 }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        if let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            self.state = self.state.wrapping_mul(31).wrapping_add(u64::from(byte));
            return byte;
        }
        // SplitMix64 (Steele et al. 2014).
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 56) as u8
    }

    pub(crate) fn bits(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number from 0 to `largest`, which is below 2^16.
    pub(crate) fn up_to(&mut self, largest: usize) -> usize {
        let (low, high) = (self.byte(), if largest < 256 { 0 } else { self.byte() });
        usize::from(u16::from_le_bytes([low, high])) % (largest + 1)
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.up_to(times - 1) == times - 1
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.up_to(choices.len() - 1)]
    }

    /// A number from 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.up_to(65_535) as f64 / 65_535.0
    }

    /// A float of any bits, half of them of a handful that are hard.
    pub(crate) fn any_float(&mut self) -> f64 {
        const HARD: [f64; 14] = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            5e-324,
            1e-45,
            f64::MAX,
            3.5e38,
            1e-20,
            1.0 - f64::EPSILON,
        ];
        if self.once_in(2) { self.one_of(&HARD) } else { f64::from_bits(self.bits()) }
    }

    /// How a call runs: any level of this machine, one to three threads.
    pub(crate) fn par(&mut self) -> Par<'static> {
        let levels: Vec<Level> = [Level::Baseline, Level::Avx2, Level::Avx512]
            .into_iter()
            .filter(|level| level.is_supported())
            .collect();
        Par { threads: 1 + self.up_to(2), level: self.one_of(&levels), ..Par::serial() }
    }

    /// Weights of m members, some of them 0, or none; seldom such as are refused.
    pub(crate) fn weights(&mut self, m: usize) -> Option<Vec<f64>> {
        if self.once_in(2) {
            return None;
        }
        let refused = self.once_in(32);
        Some((0..m).map(|_| if refused { self.any_float() } else { self.up_to(3) as f64 }).collect())
    }
}

/// Weights that sum to 1, if that is what they can be made to.
pub(crate) fn shares(weights: Option<&[f64]>, m: usize) -> Option<Vec<f64>> {
    let equal = vec![1.0; m];
    let weights = weights.unwrap_or(&equal);
    let total: f64 = weights.iter().sum();
    let right = total > 0.0 && total.is_finite() && weights.iter().all(|&w| w >= 0.0);
    right.then(|| weights.iter().map(|w| w / total).collect())
}
