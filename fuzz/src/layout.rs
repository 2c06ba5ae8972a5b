//! Arrays anywhere in memory, and the plain way to read them.

use querist_core::members::Members;
use querist_core::real::Real;
use querist_core::rows::integers::{Integers, Width};
use querist_core::rows::{Rows, Stored};

use crate::input::Input;

/// Elements of three axes in memory that ends where they do.
pub(crate) struct Layout {
    memory: Box<[u8]>,
    /// Where the first element lies.
    start: usize,
    pub(crate) shape: [usize; 3],
    strides: [isize; 3],
    /// Bytes of an element.
    size: usize,
}

impl Layout {
    /// Any strides: side by side in any order of the axes, with gaps, backwards, all in one place, misaligned.
    pub(crate) fn draw(input: &mut Input<'_>, shape: [usize; 3], size: usize) -> Self {
        let mut strides = [0; 3];
        let order = input.one_of(&[[2, 1, 0], [2, 0, 1], [1, 2, 0], [1, 0, 2], [0, 1, 2], [0, 2, 1]]);
        let mut step = size.cast_signed();
        for axis in order {
            strides[axis] = step;
            step *= shape[axis].max(1).cast_signed();
        }
        for stride in &mut strides {
            // Most often all axes stay as they are, which has ways of its own through the core.
            match input.up_to(15) {
                0 => *stride = -*stride,
                1 => *stride = 0,
                2 => *stride *= 2,
                3 => *stride += 1,
                4 => *stride = input.up_to(64).cast_signed() - 32,
                _ => {}
            }
        }
        let reach = |sign: isize| -> usize {
            let axes = shape.iter().zip(strides).filter(|(_, stride)| stride.signum() == sign);
            axes.map(|(&length, stride)| length.saturating_sub(1) * stride.unsigned_abs()).sum()
        };
        let (before, after) = (reach(-1), reach(1));
        let empty = shape.contains(&0);
        let length = if empty { 0 } else { before + after + size };
        Self { memory: vec![0; length].into(), start: if empty { 0 } else { before }, shape, strides, size }
    }

    fn place(&self, at: [usize; 3]) -> std::ops::Range<usize> {
        let offset: isize = at.iter().zip(self.strides).map(|(&i, stride)| i.cast_signed() * stride).sum();
        let from = self.start.checked_add_signed(offset).expect("an element that lies in memory");
        from..from + self.size
    }

    /// All places in the order of the axes.
    pub(crate) fn places(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [m, n, c] = self.shape;
        (0..m).flat_map(move |i| (0..n).flat_map(move |j| (0..c).map(move |k| [i, j, k])))
    }

    /// Writes an element; where elements overlap, the last one stays.
    pub(crate) fn put(&mut self, at: [usize; 3], bytes: &[u8]) {
        let place = self.place(at);
        self.memory[place].copy_from_slice(bytes);
    }

    /// Fills the memory with any bytes.
    pub(crate) fn scramble(&mut self, input: &mut Input<'_>) {
        self.memory.fill_with(|| input.byte());
    }

    /// The bytes of an element, the least significant first.
    fn bytes(&self, at: [usize; 3], swapped: bool) -> Vec<u8> {
        let mut bytes = self.memory[self.place(at)].to_vec();
        if swapped {
            bytes.reverse();
        }
        bytes
    }

    /// The matrix at a place of the first axis.
    pub(crate) fn rows<T: Real>(&self, i: usize, format: Format) -> Rows<'_, T> {
        let [_, n, c] = self.shape;
        let offset = i.cast_signed() * self.strides[0];
        let start = self.memory.as_ptr().wrapping_add(self.start).wrapping_offset(offset);
        // SAFETY: `draw` made the memory as long as all elements reach, and they are of the format's size.
        unsafe { Rows::new(start, (n, c), (self.strides[1], self.strides[2]), format.stored, format.swapped) }
    }

    /// All matrices, as the door hands them over: also as one of long rows where all numbers of a row lie
    /// side by side.
    pub(crate) fn members<T: Real>(&self, format: Format) -> Members<'_, T> {
        let [m, n, c] = self.shape;
        let members = Members::new((0..m).map(|i| self.rows(i, format)).collect());
        let size = self.size.cast_signed();
        let steps = if self.strides[2] == size && self.strides[0] == c.cast_signed() * size {
            (c, 1)
        } else if self.strides[0] == size && self.strides[2] == m.cast_signed() * size {
            (1, m)
        } else {
            return members;
        };
        let start = self.memory.as_ptr().wrapping_add(self.start);
        // SAFETY: the elements of all members, which lie side by side.
        let flat =
            unsafe { Rows::new(start, (n, m * c), (self.strides[1], size), format.stored, format.swapped) };
        members.with_flat(flat, steps)
    }

    /// The matrix of the last two axes as integers.
    pub(crate) fn integers(&self, swapped: bool, signed: bool) -> Integers<'_> {
        let width = Width { bytes: self.size, signed, swapped };
        let start = self.memory.as_ptr().wrapping_add(self.start);
        // SAFETY: `draw` made the memory as long as all elements reach.
        unsafe {
            Integers::new(start, (self.shape[1], self.shape[2]), (self.strides[1], self.strides[2]), width)
        }
    }

    /// An integer, the plain way.
    pub(crate) fn integer(&self, at: [usize; 3], swapped: bool, signed: bool) -> i128 {
        let bytes = self.bytes(at, swapped);
        let value = bytes.iter().rev().fold(0, |value, &byte| value << 8 | i128::from(byte));
        let bits = 8 * self.size;
        if signed && value >> (bits - 1) == 1 { value - (1 << bits) } else { value }
    }

    /// Writes the low bytes of an integer.
    pub(crate) fn put_integer(&mut self, at: [usize; 3], value: i64, swapped: bool) {
        let mut bytes = value.to_le_bytes()[..self.size].to_vec();
        if swapped {
            bytes.reverse();
        }
        self.put(at, &bytes);
    }

    /// A float, the plain way.
    pub(crate) fn float(&self, at: [usize; 3], format: Format) -> f64 {
        let bytes = self.bytes(at, format.swapped);
        match (format.stored, bytes.len()) {
            (Stored::Half, _) => half(u16::from_le_bytes([bytes[0], bytes[1]])),
            (Stored::Brain, _) => f64::from(f32::from_le_bytes([0, 0, bytes[0], bytes[1]])),
            (_, 4) => f64::from(f32::from_le_bytes(bytes.try_into().expect("four bytes"))),
            _ => f64::from_le_bytes(bytes.try_into().expect("eight bytes")),
        }
    }

    /// Writes a float, rounded to the format (towards zero, if it is a short one).
    pub(crate) fn put_float(&mut self, at: [usize; 3], value: f64, format: Format) {
        let single = value as f32;
        let mut bytes = match format.stored {
            Stored::Half => half_bits(single).to_le_bytes().to_vec(),
            Stored::Brain => single.to_le_bytes()[2..].to_vec(),
            _ if self.size == 4 => single.to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        };
        if format.swapped {
            bytes.reverse();
        }
        self.put(at, &bytes);
    }
}

/// How floats are stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) stored: Stored,
    pub(crate) swapped: bool,
    /// Bytes.
    pub(crate) size: usize,
}

impl Format {
    /// One that can be read as floats of so many bytes.
    pub(crate) fn draw(input: &mut Input<'_>, read_as: usize) -> Self {
        let swapped = input.once_in(4);
        let (stored, size) = match input.up_to(7) {
            0 => (Stored::Half, 2),
            1 => (Stored::Brain, 2),
            2 if read_as == 8 => (Stored::Single, 4),
            _ => (Stored::Same, read_as),
        };
        Self { stored, swapped, size }
    }

    /// How far a sum of probabilities may be off, as the door decides it.
    pub(crate) fn tolerance(self) -> f64 {
        match self.stored {
            Stored::Half => 5e-3,
            Stored::Brain => 5e-2,
            Stored::Same | Stored::Single => 1e-3,
        }
    }
}

/// A float16.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023) / 1024.0);
    let size = match exponent {
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        0 => fraction * 2.0_f64.powi(-14),
        _ => (1.0 + fraction) * 2.0_f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// The float16 next to a number on the side of zero.
fn half_bits(value: f32) -> u16 {
    let sign = if value.is_sign_negative() { 1 << 15 } else { 0 };
    let size = f64::from(value.abs());
    // Bits rise with the numbers that they stand for, up to infinity.
    let (mut low, mut high) = (0_u16, 0x7c01);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if half(middle) <= size { low = middle } else { high = middle }
    }
    sign | if value.is_nan() { 0x7e00 } else { low }
}
