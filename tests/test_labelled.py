"""The labels in hand, kept by row and by class, against a plain dict that is gone over anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from querist._labelled import Labelled

N = 12


def same(one, other):
    return (type(one), one) == (type(other), other)


KINDS = {
    "numbers": st.sampled_from([0, 1, 2, True, False, 1.0, 2.5, -0.5]),
    "text": st.sampled_from(["a", "bb", "a longer one"]),
    "tuples": st.sampled_from([(0, 1), (1, 2), (1, 2, 3)]),
}


def answers(kind):
    return st.lists(st.tuples(st.integers(0, N - 1), KINDS[kind]), min_size=1, max_size=40)


def array_of(labels):
    if isinstance(labels[0], tuple):
        array = np.empty(len(labels), object)
        array[:] = labels
        return array
    return np.array(labels)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_answers_and_revisions(kind, data):
    labelled, naive = Labelled(N), {}
    for row, label in data.draw(answers(kind)):
        is_new = row not in naive or not same(naive[row], label)
        assert labelled.put(row, label) == is_new
        naive[row] = label
        assert repr(labelled.by_row) == repr(naive)
        assert labelled.sizes() == {one: list(naive.values()).count(one) for one in naive.values()}
        assert labelled.differ() == (len(set(naive.values())) >= 2)
        if data.draw(st.booleans()):
            continue
        rows, labels = labelled.arrays()
        expected = array_of([naive[row] for row in sorted(naive)])
        assert rows.tolist() == labelled.rows().tolist() == sorted(naive)
        assert labels.dtype == expected.dtype
        assert labels.tolist() == expected.tolist()


def test_no_label_at_all():
    labelled = Labelled(N)
    assert labelled.sizes() == {}
    assert labelled.rows().tolist() == []
    assert not labelled.differ()


def test_kinds_that_do_not_mix_until_one_is_revised():
    labelled = Labelled(N)
    for row, label in [(3, 1), (7, "a"), (5, "b")]:
        labelled.put(row, label)
    with pytest.raises(TypeError, match=r"got int \(1 at index 3\) and str \('b' at index 5\)"):
        labelled.arrays()
    labelled.put(3, "a")
    assert labelled.arrays()[1].tolist() == ["a", "b", "a"]
