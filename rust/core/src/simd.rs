//! SIMD levels, and one way to run a kernel at one of them.
//!
//! A kernel is a *struct* with a generic `run`, never a closure: a closure given to a function that enables
//! target features compiles, passes every test, and silently runs baseline code, because it is a function of its
//! own without the features (seen here: 30 times slower). Lanes come from `fearless_simd`, which is safe, so that
//! no formula holds `unsafe`; plain loops over `[T; 16]` left to the autovectoriser gave 0.69 of the memory limit on
//! entropy where explicit lanes gave 0.87 (prototypes of both), and broke whenever a loop changed shape.
//!
//! Three levels, not the library's five: SSE4.2 and plain SSE2 differ in nothing that these kernels use.

use fearless_simd::{Level as Detected, Simd};

pub(crate) mod transpose;

/// An instruction set that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What the target always has: SSE2 on x86-64 (multiply and add round apart), NEON on aarch64 (fused).
    Baseline,
    /// AVX2 with fused multiply-add (x86-64-v3).
    Avx2,
    /// AVX-512 as of Ice Lake and Zen 4.
    Avx512,
}

impl Level {
    /// The best level of this machine.
    #[must_use]
    pub fn best() -> Self {
        [Self::Avx512, Self::Avx2].into_iter().find(|level| level.is_supported()).unwrap_or(Self::Baseline)
    }

    /// The level of that name: `baseline`, `avx2` or `avx512`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Baseline, Self::Avx2, Self::Avx512].into_iter().find(|level| level.name() == name)
    }

    /// That of some lanes.
    #[inline(always)]
    pub(crate) fn of<S: Simd>(simd: S) -> Self {
        #[cfg(target_arch = "x86_64")]
        if simd.level().as_avx512().is_some() {
            return Self::Avx512;
        } else if simd.level().as_avx2().is_some() {
            return Self::Avx2;
        }
        let _ = simd;
        Self::Baseline
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this machine can run it.
    #[must_use]
    pub fn is_supported(self) -> bool {
        match self {
            Self::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Detected::new().as_avx2().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Detected::new().as_avx512().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

/// The rest of a buffer from its first 64-byte boundary on: lanes that lie across two cache lines cost twice
/// (1.2 times the whole of a score, seen or not seen by the luck of the allocator).
#[inline(always)]
pub(crate) fn aligned<T>(buffer: &mut [T]) -> &mut [T] {
    let ahead = buffer.as_ptr().align_offset(64).min(buffer.len());
    &mut buffer[ahead..]
}

/// How many numbers ahead of those in hand are asked for.
pub(crate) const AHEAD: usize = 1024;

/// To which level of the cache [`prefetch`] brings numbers, by the number of the hint.
pub(crate) const FIRST: i32 = 3;
pub(crate) const SECOND: i32 = 2;

/// Asks for some numbers to be brought near while others are worked on: of rows that are turned, the hardware sees 16
/// interleaved streams and foresees none; and of long rows, read one after the other, it foresees too little where
/// more than an addition is done with each number (Xeon: margin of 1000 classes is 1.4 times as fast). Where the
/// machine knows no such request, nothing happens.
///
/// To the [`FIRST`] level of the cache, where more than a little is done with each number; else only to the [`SECOND`],
/// which waits for three times as many lines at once (Xeon: cosine density is 1.02 times as fast so, entropy of
/// long rows 0.95).
#[inline(always)]
pub(crate) fn prefetch<const LEVEL: i32, T>(numbers: &[T], range: std::ops::Range<usize>) {
    #[cfg(target_arch = "x86_64")]
    for at in range.step_by(64 / size_of::<T>()) {
        let Some(number) = numbers.get(at) else { break };
        // SAFETY: a hint, which reads nothing, about an address that is readable.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<LEVEL>(std::ptr::from_ref(number).cast());
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (numbers, range);
}

/// A piece of work that is compiled once for each level.
pub trait Kernel {
    /// What it leaves.
    type Output;
    /// Whether 64-byte registers gain it anything. What waits for memory, asking for nothing ahead, or goes row by row
    /// is as fast with those of AVX2, and then there is one copy less of it.
    const WIDE: bool = true;
    /// Does the work; to be `#[inline(always)]`, like all that it calls with lanes in hand.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Whether these lanes are those of machines without AVX2, which hardly anyone has: one kernel does there,
/// where others have one for each case.
#[inline(always)]
pub(crate) fn is_rare<S: Simd>(simd: S) -> bool {
    cfg!(target_arch = "x86_64") && Level::of(simd) == Level::Baseline
}

/// Runs a kernel at a level (at the best lower one if this machine lacks it).
#[inline]
#[cfg(target_arch = "x86_64")]
pub fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    let detected = Detected::new();
    match (level, detected.as_avx512(), detected.as_avx2(), detected.as_sse2()) {
        (Level::Avx512, Some(simd), _, _) if K::WIDE => simd.vectorize(
            #[inline(always)]
            || kernel.run(simd),
        ),
        (Level::Avx512 | Level::Avx2, _, Some(simd), _) => simd.vectorize(
            #[inline(always)]
            || kernel.run(simd),
        ),
        (_, _, _, Some(simd)) => baseline(simd, kernel),
        (_, _, _, None) => unreachable!("SSE2 is part of x86-64"),
    }
}

/// Runs a kernel at the level of every x86-64. It needs no feature that its caller lacks, and so would be
/// inlined, and optimised anew, wherever a kernel is called.
#[inline(never)]
#[cfg(target_arch = "x86_64")]
fn baseline<K: Kernel>(simd: fearless_simd::Sse2, kernel: K) -> K::Output {
    simd.vectorize(
        #[inline(always)]
        || kernel.run(simd),
    )
}

/// Runs a kernel with the lanes that every machine of this target has.
#[inline]
#[cfg(not(target_arch = "x86_64"))]
pub fn dispatch<K: Kernel>(_level: Level, kernel: K) -> K::Output {
    fearless_simd::dispatch!(Detected::baseline(), simd => kernel.run(simd))
}
