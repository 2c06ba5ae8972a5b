//! Selections against sorting everything, and against going over everything at each pick.

use querist_core::error::Error;
use querist_core::exact::Metric;
use querist_core::pool::Par;
use querist_core::real::Real;
use querist_core::rows::Rows;
use querist_core::select::k_center::Farthest;
use querist_core::select::ladder::Known;
use querist_core::select::{Groups, Open, Picks, power, top_k};

use crate::input::Input;
use crate::layout::{Format, Layout};

/// `top_k`, `power` and k-center, with rows that are not available and quotas.
pub fn picks(data: &[u8]) {
    let input = &mut Input::new(data);
    match input.up_to(3) {
        0 => by_score::<f32>(input, 4),
        1 => by_score::<f64>(input, 8),
        2 => by_distance::<f32>(input, 4),
        _ => by_distance::<f64>(input, 8),
    }
}

/// What can be picked.
struct Limits {
    available: Option<Vec<u8>>,
    /// For each row its group, and for each group its quota.
    groups: Option<(Vec<u32>, Vec<usize>)>,
}

impl Limits {
    fn draw(input: &mut Input<'_>, n: usize) -> Self {
        let available = input.once_in(2).then(|| (0..n).map(|_| input.byte() & 3).collect());
        let groups = input.once_in(2).then(|| {
            let count = 1 + input.up_to(4);
            let of = (0..n).map(|_| input.up_to(count - 1) as u32).collect();
            (of, (0..count).map(|_| input.up_to(n.div_ceil(2))).collect())
        });
        Self { available, groups }
    }

    fn open(&self) -> Open<'_> {
        let groups = self.groups.as_ref().map(|(of, left)| Groups { of, left: left.clone() });
        Open::new(self.available.as_deref(), groups)
    }

    fn is_available(&self, row: usize) -> bool {
        self.available.as_ref().is_none_or(|available| available[row] != 0)
    }

    /// How many more of the row's group can be picked.
    fn left(&mut self, row: usize) -> Option<&mut usize> {
        self.groups.as_mut().map(|(of, left)| &mut left[of[row] as usize])
    }

    /// Takes a row if it can be picked.
    fn admit(&mut self, row: usize) -> bool {
        let can = self.is_available(row) && self.left(row).is_none_or(|left| *left > 0);
        if can && let Some(left) = self.left(row) {
            *left -= 1;
        }
        can
    }
}

fn by_score<T: Real>(input: &mut Input<'_>, bytes: usize) {
    let n = if input.once_in(64) { 30_000 + input.up_to(9000) } else { input.up_to(2500) };
    let format = Format::draw(input, bytes);
    let mut layout = Layout::draw(input, [1, n, 1], format.size);
    // Many ties, or any numbers.
    let (steps, wild) = (input.one_of(&[1, 5, 60_000]), input.one_of(&[0, 0, 500, 3]));
    for at in layout.places() {
        let any = wild > 0 && input.once_in(wild);
        let score = if any { input.any_float() } else { input.up_to(steps) as f64 / 7.0 };
        layout.put_float(at, score, format);
    }
    let scores: Rows<'_, T> = layout.rows(0, format);
    let plain: Vec<f64> = (0..n).map(|i| layout.float([0, i, 0], format)).collect();
    let mut limits = Limits::draw(input, n);
    let k = if input.once_in(2) { input.up_to(n + 1) } else { input.up_to(n.min(8)) };
    let par = input.par();
    if input.once_in(2) {
        let got = top_k(&scores, k, &limits.open(), par).map(|picks| Picks {
            values: picks.values.iter().map(|value| value.to_f64()).collect(),
            indices: picks.indices,
        });
        return best(plain, k, &mut limits, got);
    }
    let (beta, seed) = (input.one_of(&[0.1, 1.0, 3.5, 100.0]), input.bits());
    let got = power(&scores, k, beta, seed, &limits.open(), par);
    let bad = plain.iter().position(|&score| score < 0.0 || score == f64::INFINITY);
    if let Some(bad) = bad {
        return assert!(matches!(got, Err(Error::Row { row, .. }) if row == bad), "{bad}: {got:?}");
    }
    let perturbed = plain.iter().enumerate().map(|(row, &score)| {
        let gumbel = -(-uniform(seed, row as u64).ln()).ln();
        if score > 0.0 { beta * score.ln() + gumbel } else { f64::NAN }
    });
    best(perturbed.collect(), k, &mut limits, got);
}

/// 53 bits: 16 of a word for four rows, 37 of the row's own.
fn uniform(seed: u64, row: u64) -> f64 {
    let shared = word(seed, row / 4) >> (row % 4 * 16) & 0xffff;
    ((shared << 37 | word(seed, 1 << 63 | row) >> 27) as f64 + 0.5) / 2.0_f64.powi(53)
}

/// `SplitMix64` over a counter.
fn word(seed: u64, counter: u64) -> u64 {
    let z = seed.wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The k largest by a plain sort.
fn best(keys: Vec<f64>, k: usize, limits: &mut Limits, got: Result<Picks<f64>, Error>) {
    let mut order: Vec<usize> = (0..keys.len()).filter(|&i| !keys[i].is_nan()).collect();
    order.sort_by(|&a, &b| keys[b].partial_cmp(&keys[a]).expect("no NaN").then(a.cmp(&b)));
    order.retain(|&row| limits.admit(row));
    if order.len() < k {
        return assert_eq!(got, Err(Error::BatchTooLarge { k, available: order.len() }));
    }
    order.truncate(k);
    let got = got.expect("enough rows");
    assert_eq!(got.values, order.iter().map(|&i| keys[i]).collect::<Vec<_>>());
    assert_eq!(got.indices, order);
}

fn by_distance<T: Real>(input: &mut Input<'_>, bytes: usize) {
    let n = if input.once_in(4) { input.up_to(700) } else { input.up_to(40) };
    let d = if input.once_in(8) { 1 + input.up_to(40) } else { 1 + input.up_to(5) };
    let format = Format::draw(input, bytes);
    let mut layout = Layout::draw(input, [1, n, d], format.size);
    // Duplicates, ties, and scales at which squares vanish or nearly overflow.
    let scale = input.one_of(&[1.0, 1.0, 1e-3, 1e-22, 1e-42, 1e15, 1e-160, 1e150]);
    let (steps, offset) = (input.one_of(&[1, 3, 1000, 65_535]), input.one_of(&[0.0, 0.0, 1e3, 1e7]));
    let wild = input.once_in(16);
    for at in layout.places() {
        let any = wild && input.once_in(50);
        let x = if any { input.any_float() } else { (offset + input.up_to(steps) as f64 - 1.0) * scale };
        layout.put_float(at, x, format);
    }
    let metric = if input.once_in(2) { Metric::Euclidean } else { Metric::Cosine };
    let weights: Option<Vec<f64>> = input.once_in(2).then(|| {
        (0..n).map(|_| if input.once_in(16) { f64::NAN } else { input.up_to(20) as f64 / 5.0 }).collect()
    });
    let labelled: Vec<usize> = (0..input.up_to(3).min(n)).map(|_| input.up_to(n - 1)).collect();
    let mut limits = Limits::draw(input, n);
    let k = if input.once_in(4) { input.up_to(n.min(60) + 1) } else { input.up_to(n.min(9)) };
    let par = input.par();

    let rows: Rows<'_, T> = layout.rows(0, format);
    let plain: Vec<Vec<f64>> =
        (0..n).map(|i| (0..d).map(|j| layout.float([0, i, j], format)).collect()).collect();
    // What is certainly refused, and what is certainly accepted, where a row is looked at.
    let norm = |row: &Vec<f64>| row.iter().map(|x| x * x).sum::<f64>();
    let is_tame = plain.iter().all(|row| norm(row) <= T::LARGEST / 64.0);
    let rule = Farthest { metric, weights: weights.as_deref() };
    let mut known = Known::new(&rows, metric);
    if let Err(error) = known.add(&rows, labelled.iter().copied(), "features", Par::serial()) {
        return assert!(!is_tame && matches!(error, Error::Row { .. }), "{error}");
    }
    // Those that are labelled can be picked here: that they are not available is for the caller to say.
    let got = known.pick(&rows, k, &rule, limits.open(), par).map(|(picks, _)| picks);
    if !is_tame {
        return match got {
            Ok(picks) => assert_eq!(picks.indices.len(), k),
            Err(error) => assert!(matches!(error, Error::Row { .. } | Error::BatchTooLarge { .. })),
        };
    }
    match greedy(&plain, k, &labelled, metric, weights.as_deref(), &mut limits) {
        Err(available) => assert_eq!(got, Err(Error::BatchTooLarge { k, available })),
        Ok(expected) => assert_eq!(got, Ok(expected)),
    }
}

/// k-center that goes over all rows at each pick; or how many can be picked.
fn greedy(
    rows: &[Vec<f64>],
    k: usize,
    labelled: &[usize],
    metric: Metric,
    weights: Option<&[f64]>,
    limits: &mut Limits,
) -> Result<Picks<f64>, usize> {
    let n = rows.len();
    let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
    let rows: Vec<Vec<f64>> = rows.iter().map(|row| compared(row, metric)).collect();
    let mut squared = vec![f64::INFINITY; n];
    let add = |squared: &mut [f64], centre: usize| {
        for (squared, row) in squared.iter_mut().zip(&rows) {
            *squared = squared.min(squared_distance(row, &rows[centre], metric));
        }
    };
    labelled.iter().for_each(|&centre| add(&mut squared, centre));
    let mut picks = Picks { indices: Vec::new(), values: Vec::new() };
    let mut taken = vec![false; n];
    while picks.indices.len() < k {
        let key = |row: usize| {
            let distance = metric.distance(squared[row]);
            match (squared[row].is_infinite(), weights) {
                (true, _) => weight(row),
                (false, None) => squared[row],
                (false, Some(_)) => weight(row) * distance,
            }
        };
        let can = |row: &usize| {
            let open = limits.groups.as_ref().is_none_or(|(of, left)| left[of[*row] as usize] > 0);
            !taken[*row] && open && limits.is_available(*row) && !weight(*row).is_nan()
        };
        let best = (0..n).filter(can).reduce(|best, row| if key(row) > key(best) { row } else { best });
        let Some(best) = best else { return Err(picks.indices.len()) };
        let distance = metric.distance(squared[best]);
        picks.indices.push(best);
        picks.values.push(if weight(best) == 0.0 { 0.0 } else { weight(best) * distance });
        taken[best] = limits.admit(best);
        add(&mut squared, best);
    }
    Ok(picks)
}

/// A row as it is compared: for cosines of length 1, by a power of 2 and then by 1 / norm.
fn compared(row: &[f64], metric: Metric) -> Vec<f64> {
    let largest = row.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    if metric == Metric::Euclidean || largest == 0.0 {
        return row.to_vec();
    }
    let exponent = largest.to_bits() >> 52;
    let scale = f64::from_bits(2046_u64.saturating_sub(exponent).max(1) << 52);
    let scaled: Vec<f64> = row.iter().map(|x| x * scale).collect();
    let inverse = 1.0 / sum_of_squares(scaled.iter().copied()).sqrt();
    scaled.iter().map(|x| x * inverse).collect()
}

fn squared_distance(x: &[f64], y: &[f64], metric: Metric) -> f64 {
    let is_zero = |row: &[f64]| row.iter().all(|&x| x == 0.0);
    if metric == Metric::Cosine && (is_zero(x) || is_zero(y)) {
        return 2.0;
    }
    sum_of_squares(x.iter().zip(y).map(|(x, y)| x - y))
}

/// In 8 sums over every eighth number, then as a tree.
fn sum_of_squares(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sums = [0.0; 8];
    for (at, x) in numbers.enumerate() {
        sums[at % 8] += x * x;
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
