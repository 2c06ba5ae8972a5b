"""Every SIMD level, each in a fresh interpreter that is forced to it.

The levels with fused multiply-add give the same bits. Baseline gives the same bits for scores
without multiply-add, and keeps the stated error for the others.
"""

from __future__ import annotations

import child
import numpy as np
import pytest
from levels import NEEDS, at_level, cpu_flags, in_child
from reference import SCORES, bits, dirichlet, exact, exact_of_logits
from test_accuracy import Worst, allowed_from_logits, allowed_from_proba, families, logit_families

CLASSES = [1, 2, 3, 5, 8, 10, 15, 16, 17, 32, 33, 64, 100, 129, 1000]
SCORE_ALL = (
    f"names = {[score.name for score in SCORES]}"
    + """
for key, array in given.items():
    from_logits = key.startswith("logits")
    together = qr.scores(array, names, from_logits=from_logits, n_threads=2)
    for name in names:
        score = getattr(qr, name)(array, from_logits=from_logits)
        assert score.tobytes() == together[name].tobytes(), (key, name)
        mapped = np.asfortranarray(array)
        assert score.tobytes() == getattr(qr, name)(mapped, from_logits=from_logits).tobytes()
        k = len(array) // 3
        whole = qr.select.top_k(score, k)
        fused = qr.top_scores(array, k, score=name, from_logits=from_logits)
        assert fused.indices.tolist() == whole.indices.tolist(), (key, name)
        assert fused.values.tobytes() == whole.values.tobytes(), (key, name)
        results[f"{key} {name}"] = score
"""
)


def pools() -> dict[str, np.ndarray]:
    """Return the rows of the accuracy test, and random ones in number."""
    arrays = {}
    for dtype in (np.float32, np.float64):
        for c in CLASSES:
            hard = np.array([row for _, row in families(c, dtype)])
            arrays[f"proba hard {c} {dtype.__name__}"] = hard.astype(dtype)
            arrays[f"proba random {c} {dtype.__name__}"] = dirichlet(999, c, dtype)
            hard = np.array([row for _, row in logit_families(c, dtype)])
            arrays[f"logits hard {c} {dtype.__name__}"] = hard.astype(dtype)
            random = 4 * np.random.default_rng(c).normal(size=(999, c))
            arrays[f"logits random {c} {dtype.__name__}"] = random.astype(dtype)
    return arrays


@pytest.fixture(scope="module")
def scored_at(tmp_path_factory):
    """Return a function from a level to every score of every pool; skips what the CPU lacks."""
    folder = tmp_path_factory.mktemp("levels")
    arrays = pools()
    results = {}

    def at(level: str) -> dict[str, np.ndarray]:
        if level not in results:
            results[level] = at_level(level, SCORE_ALL, arrays, folder)
            assert len(results[level]) == len(arrays) * len(SCORES)
        return results[level]

    at.pools = arrays
    return at


def differing(one, other, keys):
    return [key for key in keys if bits(one[key]) != bits(other[key])]


def test_both_fused_levels_give_the_same_bits(scored_at):
    avx2, avx512 = scored_at("avx2"), scored_at("avx512")
    assert differing(avx2, avx512, avx512) == []


def test_the_level_chosen_by_itself_gives_the_bits_of_the_fused_levels(scored_at, tmp_path):
    forced = scored_at("avx2")
    level = child.run("import querist; print(querist.show_config()['simd'])").strip()
    assert level in NEEDS
    unforced = in_child(level, SCORE_ALL, scored_at.pools, tmp_path)
    assert differing(forced, unforced, forced) == []


def test_baseline_gives_the_same_bits_where_nothing_is_multiplied_and_added(scored_at):
    baseline, avx2 = scored_at("baseline"), scored_at("avx2")
    plain = tuple(score.name for score in SCORES if not score.fused)
    assert plain
    keys = [key for key in avx2 if key.startswith("proba") and key.endswith(plain)]
    assert len(keys) == 4 * len(CLASSES) * len(plain)
    assert differing(baseline, avx2, keys) == []


@pytest.mark.parametrize("kind", ["proba", "logits"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", SCORES, ids=str)
def test_baseline_keeps_the_stated_error(scored_at, score, dtype, kind):
    baseline = scored_at("baseline")
    worst = Worst()
    for c in CLASSES:
        if c > 150:
            continue  # test_accuracy has the long rows; mpmath is slow on them
        key = f"{kind} hard {c} {dtype.__name__}"
        for row, got in zip(scored_at.pools[key], baseline[f"{key} {score.name}"], strict=True):
            if kind == "proba":
                true = exact(score, row)
                worst.see(got, true, allowed_from_proba(score, row, true), f"{key}: {row[:20]}")
            else:
                true = exact_of_logits(score, row)
                worst.see(got, true, allowed_from_logits(row, true), f"{key}: {row[:20]}")
    worst.check()


@pytest.mark.parametrize("level", NEEDS)
def test_a_forced_level_is_the_one_reported_or_the_error_says_what_the_cpu_lacks(level):
    source = "import querist, numpy; print(querist.show_config()['simd']); "
    source += "querist.entropy(numpy.eye(3))"
    code, out, err = child.finish(child.start(source, QUERIST_SIMD=level))
    if NEEDS[level] <= cpu_flags():
        assert (code, out.split()) == (0, [level]), err
    else:
        assert code != 0
        assert "QUERIST_SIMD" in err
        assert "panicked" not in err


@pytest.mark.parametrize("word", ["sse9", "AVX1024", "1"])
def test_an_unknown_level_is_an_error_that_lists_the_known_ones(word):
    source = "import querist, numpy; querist.entropy(numpy.eye(3))"
    code, _, err = child.finish(child.start(source, QUERIST_SIMD=word))
    assert code == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith(("ImportError", "ValueError")), err
    assert all(known in last for known in ("QUERIST_SIMD", word, *NEEDS)), err
    assert "panicked" not in err
