//! Sparse rows (CSR) whose structure may be anything: refused, or read as what it says.

use querist_core::density::linear::{Options, Similarity};
use querist_core::density::sparse::{Sparse, density};
use querist_core::error::{Error, Fault};
use querist_core::real::Real;
use querist_core::rows::Rows;

use crate::close::near;
use crate::input::Input;
use crate::layout::{Format, Layout};

/// `Rows::sparse` and the density of sparse rows.
pub fn sparse(data: &[u8]) {
    let input = &mut Input::new(data);
    if input.once_in(2) { check::<f32>(input, 4) } else { check::<f64>(input, 8) }
}

/// One row of integers of any width.
struct OneRow {
    layout: Layout,
    swapped: bool,
    signed: bool,
}

impl OneRow {
    /// Seldom not one row but none, which promises nothing of its memory.
    fn draw(input: &mut Input<'_>, numbers: &[i64]) -> Self {
        let size = input.one_of(&[1, 2, 4, 8]);
        let (swapped, signed) = (input.once_in(4), input.once_in(2));
        let rows = usize::from(!input.once_in(16));
        let mut layout = Layout::draw(input, [1, rows, numbers.len()], size);
        for at in layout.places() {
            layout.put_integer(at, numbers[at[2]], swapped);
        }
        Self { layout, swapped, signed }
    }

    /// As they are read: a narrow or overlapping layout has changed them. Those of no row make no sense.
    fn numbers(&self) -> Vec<i128> {
        let [_, rows, count] = self.layout.shape;
        if rows == 0 {
            return vec![i128::MAX; count];
        }
        self.layout.places().map(|at| self.layout.integer(at, self.swapped, self.signed)).collect()
    }
}

fn check<T: Real>(input: &mut Input<'_>, bytes: usize) {
    let (n, width, stored) = (input.up_to(20), input.up_to(12), input.up_to(60));
    let format = Format::draw(input, bytes);
    // Seldom not one number a row, which is refused.
    let each = if input.once_in(16) { input.up_to(2) } else { 1 };
    let mut numbers = Layout::draw(input, [1, stored, each], format.size);
    let tame = !input.once_in(8);
    for at in numbers.places() {
        let number = if tame { input.up_to(40) as f64 / 8.0 - 2.0 } else { input.any_float() };
        numbers.put_float(at, number, format);
    }
    let (starts, columns) = structure(input, n, width, stored);
    let (starts, columns) = (OneRow::draw(input, &starts), OneRow::draw(input, &columns));
    let structure = (starts.numbers(), columns.numbers());
    let given: Vec<f64> = numbers.places().map(|at| numbers.float(at, format)).collect();
    let data = if each == 1 { &given[..] } else { &[] };

    let rows = numbers.rows::<T>(0, format);
    let columns = columns.layout.integers(columns.swapped, columns.signed);
    let starts = starts.layout.integers(starts.swapped, starts.signed);
    let expected = dense(&structure, data, width);
    match (Rows::sparse(rows, columns, starts, width, "features"), &expected) {
        (Ok(rows), Some(expected)) => same::<T>(input, &rows, expected, width),
        (Err(Error::Shape { argument, .. }), None) => assert_eq!(argument, "features"),
        (got, expected) => panic!("expected {expected:?}, got {got:?}"),
    }

    // Whose squares neither overflow nor vanish, which the plain way does not foresee; overlapping numbers
    // may be any.
    let is_plain = given.iter().all(|&x| x == 0.0 || (1e-3..1e3).contains(&x.abs()));
    let sparse = Sparse { data: rows, columns, starts, width };
    let mut out = vec![T::ZERO; sparse.len()];
    let options = Options {
        similarity: input.one_of(&[Similarity::Dot, Similarity::Cosine, Similarity::SquaredDistance]),
        include_self: true,
        shift: false,
    };
    match (density(&sparse, None, options, &mut out, input.par()), expected) {
        (Ok(()), Some(expected)) if is_plain => alike(&out, &expected, options.similarity),
        (Ok(()), Some(_)) => {}
        // It asks less of the structure: numbers behind the last row belong to none.
        (Ok(()), None) => assert!(structure.0.windows(2).all(|pair| pair[0] <= pair[1])),
        (Err(Error::Shape { argument, .. }), None) => assert_eq!(argument, "features"),
        (Err(Error::Row { row, fault: Fault::Overflow, .. }), _) => assert!(row < sparse.len() && !is_plain),
        (Err(Error::Row { row, .. }), _) => {
            assert!(row < sparse.len() && given.iter().any(|x| !x.is_finite()))
        }
        (got, expected) => panic!("expected {expected:?}, got {got:?}"),
    }
}

/// Where rows start, and the column of each number: most often as it should be.
fn structure(input: &mut Input<'_>, n: usize, width: usize, stored: usize) -> (Vec<i64>, Vec<i64>) {
    let mut starts: Vec<i64> = (0..=n).map(|_| input.up_to(stored) as i64).collect();
    starts.sort_unstable();
    starts[0] = 0;
    let mut columns: Vec<i64> = (0..stored).map(|_| input.up_to(width.saturating_sub(1)) as i64).collect();
    if input.once_in(2) {
        let wrong = if input.once_in(2) { input.bits() as i64 } else { input.up_to(80) as i64 - 10 };
        let of = if input.once_in(2) { &mut starts } else { &mut columns };
        let at = input.up_to(of.len().max(1) - 1);
        if let Some(number) = of.get_mut(at) {
            *number = wrong;
        }
    }
    if input.once_in(8) {
        columns.truncate(input.up_to(stored));
    }
    if input.once_in(16) {
        starts.clear();
    }
    (starts, columns)
}

/// The rows that the structure describes, as lists of places; `None` if it makes no sense.
fn dense(
    (starts, columns): &(Vec<i128>, Vec<i128>),
    data: &[f64],
    width: usize,
) -> Option<Vec<Vec<(usize, f64)>>> {
    let stored = data.len().min(columns.len()) as i128;
    let mut end = 0;
    let mut rows = Vec::new();
    for pair in starts.windows(2) {
        if pair[0] != end || pair[1] < end || pair[1] > stored {
            return None;
        }
        end = pair[1];
        let places = usize::try_from(pair[0]).ok()?..usize::try_from(pair[1]).ok()?;
        let column = |at: usize| usize::try_from(columns[at]).ok().filter(|&column| column < width);
        rows.push(places.map(|at| column(at).map(|column| (column, data[at]))).collect::<Option<_>>()?);
    }
    Some(rows)
}

fn same<T: Real>(input: &mut Input<'_>, rows: &Rows<'_, T>, expected: &[Vec<(usize, f64)>], width: usize) {
    assert_eq!((rows.len(), rows.width()), (expected.len(), width));
    let (from, to) = (input.up_to(rows.len()), rows.len() + input.up_to(2));
    let mut block = Vec::new();
    let got: Vec<f64> = rows.read(from..to, &mut block).iter().map(|x| x.to_f64()).collect();
    let mut filled = Vec::new();
    for row in &expected[from..] {
        let mut numbers = vec![T::ZERO; width];
        for &(column, x) in row {
            numbers[column] += T::from_f64(x);
        }
        filled.extend(numbers.iter().map(|x| x.to_f64()));
    }
    // Zeros of both signs are the same number here, and so are all that are none.
    let equal = got.iter().zip(&filled).all(|(a, b)| a == b || a.is_nan() && b.is_nan());
    assert!(got.len() == filled.len() && equal, "expected {filled:?}, got {got:?}");
}

/// The mean similarity of each row to all rows, the plain way.
fn alike<T: Real>(got: &[T], rows: &[Vec<(usize, f64)>], similarity: Similarity) {
    let filled: Vec<[f64; 13]> = rows
        .iter()
        .map(|row| {
            let mut numbers = [0.0; 13];
            row.iter().for_each(|&(column, x)| numbers[column] += x);
            numbers
        })
        .collect();
    let dot = |x: &[f64; 13], y: &[f64; 13]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    for (&got, x) in got.iter().zip(&filled) {
        let pair = |y: &[f64; 13]| match similarity {
            Similarity::Dot => dot(x, y),
            Similarity::Cosine if dot(x, x) == 0.0 || dot(y, y) == 0.0 => 0.0,
            Similarity::Cosine => dot(x, y) / (dot(x, x) * dot(y, y)).sqrt(),
            Similarity::SquaredDistance => x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum(),
        };
        let mean = filled.iter().map(pair).sum::<f64>() / filled.len() as f64;
        let expected = if similarity == Similarity::SquaredDistance { 1.0 / (1.0 + mean) } else { mean };
        let size = filled.iter().map(|x| dot(x, x)).fold(1.0, f64::max);
        near(got, expected, 8.0 * (T::EPSILON.to_f64() + 1e-13) * size, "density");
    }
}
