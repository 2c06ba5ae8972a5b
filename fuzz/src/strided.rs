//! The strided reader against plain indexing of bytes.

use querist_core::real::Real;
use querist_core::rows::Rows;

use crate::input::Input;
use crate::layout::{Format, Layout};

/// `Rows::read` of any shape, strides, alignment, byte order and format, in any ranges.
pub fn strided(data: &[u8]) {
    let input = &mut Input::new(data);
    let kind = input.up_to(2);
    let format = Format::draw(input, if kind == 1 { 8 } else { 4 });
    let shape = [1, input.one_of(&[0, 1, 2, 5, 40]), input.one_of(&[0, 1, 2, 3, 7, 16, 33])];
    let shape = if input.once_in(2) { shape } else { [1, input.up_to(40), input.up_to(20)] };
    let mut layout = Layout::draw(input, shape, format.size);
    layout.scramble(input);
    match kind {
        0 => check::<f32>(input, &layout.rows(0, format), &layout, format),
        1 => check::<f64>(input, &layout.rows(0, format), &layout, format),
        _ => check(input, &layout.rows::<f32>(0, format).widened(), &layout, format),
    }
}

fn check<T: Real>(input: &mut Input<'_>, rows: &Rows<'_, T>, layout: &Layout, format: Format) {
    let [_, n, width] = layout.shape;
    assert_eq!((rows.len(), rows.width(), rows.is_empty()), (n, width, n == 0));
    // The room is used again by the next read, as the kernels do.
    let mut block = Vec::new();
    for _ in 0..4 {
        let (from, to) = (input.up_to(n + 2), input.up_to(n + 2));
        // One that ends before it begins is empty too.
        let got = rows.read(from..to, &mut block);
        let expected = (from.min(n)..to.min(n)).flat_map(|i| (0..width).map(move |j| [0, i, j]));
        let expected: Vec<f64> = expected.map(|at| layout.float(at, format)).collect();
        assert_eq!(got.len(), expected.len());
        for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
            let got = got.to_f64();
            let same = got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
            assert!(same, "number {at} of rows {from}..{to}: expected {expected:e}, got {got:e}");
        }
    }
}
