"""Promise 7 to the letter: every score within its stated error of the true value.

The true value is that of the numbers as stored, computed by mpmath. `families` yields the rows that
are hard: the logarithm near 1, subnormal numbers, long sums, cancellation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import querist as qr
from mpmath import mp, mpf
from reference import SCORES, Exact, Score, bits, dirichlet, exact, exact_of_logits, ulp

CLASSES = [1, 2, 3, 5, 8, 10, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 1000]
ALPHAS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]

every_score = pytest.mark.parametrize("score", SCORES, ids=str)
every_float = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def families(c: int, dtype: type):
    """Yield `(name, row)`: rows of c valid probabilities of which none is above 1."""
    info = np.finfo(dtype)
    places = sorted({0, c // 2, c - 1})
    yield "uniform", np.full(c, 1 / c)
    for place in places:
        yield f"one-hot at {place}", np.eye(c)[place]
        yield f"one-hot at {place}, -0.0 elsewhere", np.where(np.eye(c)[place] == 1, 1, -0.0)
    for doubt in (
        1e-1,
        9e-4,
        1e-5,
        1e-7,
        3e-8,
        1e-10,
        1e-13,
        info.eps / 2,
        info.eps,
        1e-3 * info.eps,
    ):
        if c == 1 and doubt > 1e-3:
            continue  # alone, it is not a probability
        for place in places:
            spread_out = np.full(c, doubt / max(c - 1, 1))
            spread_out[place] = 1 - doubt
            yield f"certain but for {doubt:.0e}, spread", spread_out
            on_one = np.zeros(c)
            on_one[place - 1] = doubt
            on_one[place] = 1 - doubt
            yield f"certain but for {doubt:.0e}, on one", on_one
    for tiny in (info.smallest_subnormal, 77 * info.smallest_subnormal, info.tiny, 1e-30, 1e-20):
        yield f"certain beside {tiny:.0e}", np.where(np.arange(c) == c // 3, 1, tiny)
        pair = np.full(c, tiny)
        pair[[0, -1]] = 0.5 if c > 1 else 1
        yield f"one half twice beside {tiny:.0e}", pair
    yield "geometric", geometric(c, 0.5)
    yield "slowly geometric", geometric(c, 0.99)
    yield "ramp", np.arange(1, c + 1) / np.arange(1, c + 1).sum()
    yield (
        "two levels",
        np.where(np.arange(c) % 2, 1.5, 0.5) / np.where(np.arange(c) % 2, 1.5, 0.5).sum(),
    )
    for alpha in ALPHAS:
        for row in dirichlet(3 if c > 100 else 12, c, alpha=alpha, seed=c):
            yield f"Dirichlet {alpha}", row
    for scale in (1 - 9e-4, 1 - 1e-5, 1 + 1e-5, 1 + 9e-4):
        for row in dirichlet(2, c, alpha=3, seed=c + 1):
            if row.max() * scale <= 1:
                yield f"Dirichlet that sums to {scale}", row * scale


def geometric(c: int, ratio: float) -> np.ndarray:
    weights = ratio ** np.arange(c, dtype=float)
    return weights / weights.sum()


@dataclass
class Worst:
    """The largest error as a share of what is allowed, and where it was."""

    share: float = -1.0
    where: str = "nowhere: nothing was checked"

    def see(self, got: float, true: Exact, allowed: mpf, where: str) -> None:
        share = float(abs(mpf(float(got)) - true.value) / allowed)
        if not share <= self.share:
            value = mp.nstr(true.value, 20)
            self.share, self.where = share, f"{where}: got {got!r}, true {value}, {share:.3g} of it"

    def check(self) -> None:
        assert 0 <= self.share <= 1, self.where


def allowed_from_proba(score: Score, row: np.ndarray, true: Exact) -> mpf:
    """4 ULP where no p exceeds 1 (for gini: and Σp is 1 to rounding), else 4 eps Σ|terms|."""
    info = np.finfo(row.dtype)
    total = mp.fsum(mpf(float(p)) for p in row)
    if row.max() <= 1 and (score.name != "gini" or abs(total - 1) <= float(info.eps)):
        return 4 * ulp(true.value, row.dtype)
    return 4 * max(float(info.eps) * true.magnitude, mpf(float(info.smallest_subnormal)))


def check_rows(score: Score, named_rows: list[tuple[str, np.ndarray]], dtype: type) -> None:
    rows = np.array([row for _, row in named_rows]).astype(dtype)
    got = getattr(qr, score.name)(rows)
    assert got.dtype == dtype
    worst = Worst()
    for (name, _), row, value in zip(named_rows, rows, got, strict=True):
        true = exact(score, row)
        worst.see(value, true, allowed_from_proba(score, row, true), f"{name}, c = {len(row)}")
    worst.check()


@every_score
@every_float
@pytest.mark.parametrize("c", CLASSES)
def test_every_score_is_within_four_ulp_of_the_true_value(score, dtype, c):
    check_rows(score, list(families(c, dtype)), dtype)


@every_score
@every_float
def test_a_hundred_thousand_classes_are_as_exact_as_two(score, dtype):
    c = 100_000
    rows = [("uniform", np.full(c, 1 / c)), ("slowly geometric", geometric(c, 0.9999))]
    rows += [(f"Dirichlet {alpha}", dirichlet(1, c, alpha=alpha)[0]) for alpha in (0.01, 1)]
    spread_out = np.full(c, 1e-6 / (c - 1))
    spread_out[70_000] = 1 - 1e-6
    check_rows(score, [*rows, ("nearly certain", spread_out)], dtype)


@every_score
@every_float
def test_uniform_rows_of_any_number_of_classes_are_within_four_ulp(score, dtype):
    worst = Worst()
    for c in [*range(2, 1001), 1023, 1024, 1025, 4096, 10_007, 65_536]:
        row = np.full(c, 1 / c, dtype)
        got = getattr(qr, score.name)(row[None])[0]
        true = exact(score, row)
        worst.see(got, true, 4 * ulp(true.value, row.dtype), f"c = {c}")
    worst.check()


@every_score
@every_float
@pytest.mark.parametrize("c", [*CLASSES, 100_000])
def test_certainty_scores_positive_zero(score, dtype, c):
    places = {0, c // 2, c - 1}
    for background in (0.0, -0.0):
        rows = np.full((len(places), c), background, dtype)
        for row, place in zip(rows, places, strict=True):
            row[place] = 1
        zeros = np.zeros(len(places), dtype)
        assert bits(getattr(qr, score.name)(rows)) == bits(zeros)
        assert bits(getattr(qr, score.name)(rows, normalize=True)) == bits(zeros)


@every_score
@every_float
@pytest.mark.parametrize("c", [1, 2, 3, 10, 16, 17, 100])
def test_rows_with_a_probability_above_one_keep_their_slightly_negative_score(score, dtype, c):
    info = np.finfo(dtype)
    rows = []
    for excess in (info.eps, 1e-5, 9e-4):
        for place in {0, c - 1}:
            rows += [("above one, alone", np.where(np.arange(c) == place, 1 + excess, 0.0))]
            rest = np.full(c, 2e-5 / c)
            rest[place] = 1 + excess
            rows += [("above one, not alone", rest)]
    alone = np.array([row for _, row in rows[::2]], dtype)
    assert (alone.max(axis=1) > 1).all()
    assert (getattr(qr, score.name)(alone) < 0).all()
    check_rows(score, rows, dtype)


def logit_families(c: int, dtype: type):
    """Yield `(name, row)`: rows of c logits."""
    rng = np.random.default_rng(c)
    for scale in (0.1, 0.5, 1, 3, 10, 20, 50):
        for _ in range(2 if c > 100 else 6):
            yield f"normal x {scale}", scale * rng.normal(size=c)
    for offset in (1e3, -1e4, 1e6, -3e7, 1e30):
        yield f"normal around {offset:.0e}", rng.normal(size=c) + offset
        yield (
            f"integers around {offset:.0e}",
            rng.integers(0, 5, c) * np.spacing(dtype(offset)) + offset,
        )
    yield "equal", np.full(c, 3.7)
    for gap in (1e-7, 1e-3, 0.1, 1, 5, 16, 17, 30, 36, 37, 40, 43, 80):
        ladder = -gap * np.arange(c, dtype=float)
        yield f"gaps of {gap}", ladder
        yield f"gaps of {gap}, shuffled", rng.permutation(ladder[: min(c, 3)].tolist() * c)[:c]
        yield f"one above by {gap}", np.where(np.arange(c) == c // 2, gap, 0.0)
    yield "half of them -inf", np.where(np.arange(c) % 2, -np.inf, rng.normal(size=c))
    yield "all but one -inf", np.where(np.arange(c) == c - 1, 1.5, -np.inf)
    yield "two beside -inf", np.where(np.arange(c) % max(c - 1, 1) == 0, 0.25, -np.inf)
    yield "the largest number above zeros", np.where(np.arange(c) == c // 2, np.finfo(dtype).max, 0.0)


def allowed_from_logits(row: np.ndarray, true: Exact) -> mpf:
    """Return (4 + the largest gap of non-negligible weight) eps, relative, but at least 4 ULP.

    A weight counts if it is at least eps of all but the largest one's together.
    """
    gaps = np.sort(row.max() - row.astype(np.float64))[1:]
    weights = np.exp(-gaps)
    eps = float(np.finfo(row.dtype).eps)
    heavy = gaps[(weights >= eps * weights.sum()) & (weights > 0)]
    gap = float(heavy.max()) if heavy.size else 0.0
    return max((4 + gap) * eps * abs(true.value), 4 * ulp(true.value, row.dtype))


@every_score
@every_float
@pytest.mark.parametrize("c", [*CLASSES, 20_000])
def test_every_score_from_logits_is_within_its_stated_relative_error(score, dtype, c):
    named_rows = list(logit_families(c, dtype))
    if c > 1000:
        named_rows = [named_rows[i] for i in (0, 4, 6, 14, 24)]
    rows = np.array([row for _, row in named_rows]).astype(dtype)
    got = getattr(qr, score.name)(rows, from_logits=True)
    assert got.dtype == dtype
    assert (got >= 0).all()
    worst = Worst()
    for (name, _), row, value in zip(named_rows, rows, got, strict=True):
        true = exact_of_logits(score, row)
        worst.see(value, true, allowed_from_logits(row, true), f"{name}, c = {c}")
    worst.check()
