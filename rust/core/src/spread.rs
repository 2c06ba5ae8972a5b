//! The variance of all numbers of a matrix: what the width of a kernel is scaled by.

use crate::distance::fault_of;
use crate::error::Error;
use crate::pool::{InOrder, Par};
use crate::real::Real;
use crate::rows::Rows;

/// Numbers that a thread takes at a time.
const STEP: usize = 1 << 15;

/// The variance of all numbers, about their mean, in float64; 0 of none. O(n d), two reads.
///
/// # Errors
/// [`Error::Shape`] if it is not 0 but too small for float64; [`Error::Row`] for the first row that is not finite;
/// [`Error::Stopped`].
pub fn variance<T: Real>(rows: &Rows<'_, T>, argument: &'static str, par: Par<'_>) -> Result<f64, Error> {
    let count = (rows.len() * rows.width()) as f64;
    if count == 0.0 {
        return Ok(0.0);
    }
    // About one of them: numbers that are all the same have no variance by rounding.
    let about = rows.read(0..1, &mut Vec::new())[0].to_f64();
    let mean = sum(rows, argument, par, |x| x - about)? / count;
    let variance = sum(rows, argument, par, |x| (x - about - mean) * (x - about - mean))? / count;
    if variance < f64::MIN_POSITIVE && sum(rows, argument, par, |x| (x - about).abs())? > 0.0 {
        let expected = "numbers whose variance does not vanish (scale them)";
        return Err(Error::shape(argument, &expected, &format_args!("{variance:e}")));
    }
    Ok(variance)
}

fn sum<T: Real>(
    rows: &Rows<'_, T>,
    argument: &'static str,
    par: Par<'_>,
    term: impl Fn(f64) -> f64 + Sync,
) -> Result<f64, Error> {
    let (n, d) = (rows.len(), rows.width());
    let step = (STEP / d).max(1);
    let whole = InOrder::new(0.0);
    par.run((0..n).step_by(step).enumerate(), n * d, Vec::new, |block, (number, first)| {
        let numbers = rows.read(first..first + step, block);
        let mut sums = [0.0; 16];
        for numbers in numbers.chunks(sums.len()) {
            for (sum, x) in sums.iter_mut().zip(numbers) {
                *sum += term(x.to_f64());
            }
        }
        let part: f64 = sums.iter().sum();
        let bad = |row: &&[T]| row.iter().any(|x| !x.to_f64().is_finite());
        if !part.is_finite()
            && let Some((row, x)) = numbers.chunks_exact(d).enumerate().find(|(_, x)| bad(x))
        {
            return Err(Error::Row { argument, row: first + row, member: None, fault: fault_of(x) });
        }
        whole.bring(number, part, |whole, part| *whole += part);
        Ok(())
    })?;
    Ok(whole.into_whole())
}
