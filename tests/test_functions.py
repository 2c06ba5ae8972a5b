"""What holds for every public function: the table is `functions.FUNCTIONS`, the pools are drawn."""

from __future__ import annotations

import inspect
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
import querist as qr
from functions import AVAILABLE, BAD, FUNCTIONS, GROUPS, NO_ARRAYS, ROW_NUMBERS, Pool, find, parts
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import LAYOUTS, layouts_of, views
from reference import bits


def those(functions):
    return pytest.mark.parametrize("function", list(functions), ids=str)


every_function = those(FUNCTIONS)
drawn = settings(max_examples=12, deadline=None, derandomize=True, database=None)
SIZES = [1, 2, 3, 10, 15, 16, 17, 33, 70]
FLOATS = st.sampled_from([np.float32, np.float64])
POOLS = st.builds(
    Pool,
    n=st.integers(8, 40),
    c=st.sampled_from(SIZES),
    d=st.sampled_from(SIZES),
    dtype=FLOATS,
    seed=st.integers(0, 2**32 - 1),
)


def all_bits(answer):
    return [(part.dtype, bits(part)) for part in parts(answer)]


def public(module, prefix):
    """Give the callables of a module by the names that a user types; a new module needs a line here."""
    for name in module.__all__:
        if callable(getattr(module, name)):
            yield prefix + name


def test_the_table_has_a_row_for_every_public_function():
    names = {*public(qr, ""), *public(qr.select, "select.")}
    rows = {function.name for function in FUNCTIONS}
    assert rows == names - set(NO_ARRAYS)
    assert names >= set(NO_ARRAYS)


def test_dir_lists_what_is_public():
    assert dir(qr) == sorted(qr.__all__)


def test_every_argument_that_takes_an_array_is_given_by_some_row():
    """Annotations are the strings of the source: `Any` is a matrix that may be sparse."""
    for name in {function.name for function in FUNCTIONS}:
        function = find(name)
        methods = [getattr(function, method, None) for method in ("pick", "add")]
        taken = [function, *filter(None, methods)]
        arrays = {
            parameter.name
            for callable_ in taken
            for parameter in inspect.signature(callable_).parameters.values()
            if str(parameter.annotation).split(" | ")[0] in ("ArrayLike", "Any", "Picks")
        }
        given_ = {argument for row in FUNCTIONS if row.name == name for argument in row.arrays}
        assert arrays == given_, name


@every_function
@drawn
@given(pool=POOLS, data=st.data())
def test_a_view_counts_as_its_numbers_and_is_not_written(function, pool, data):
    arrays = function.make(pool)
    seen = {argument: data.draw(views(array), argument) for argument, array in arrays.items()}
    before = {argument: view.tobytes() for argument, view in seen.items()}
    assert all_bits(function(seen, pool.n)) == all_bits(function(arrays, pool.n))
    assert {argument: view.tobytes() for argument, view in seen.items()} == before


@every_function
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_layout_changes_a_bit(function, dtype):
    for c, d in ((3, 4), (17, 33)):
        arrays = function.make(Pool(40, c, d, dtype))
        expected = all_bits(function(arrays, 40))
        seen = set()
        for argument, array in arrays.items():
            for layout, view in layouts_of(array):
                assert all_bits(function(arrays | {argument: view}, 40)) == expected, (argument, layout)
                seen.add(layout)
        assert seen == set(LAYOUTS)


@every_function
@drawn
@given(pool=POOLS)
def test_rows_that_are_one_in_memory_count_as_copies(function, pool):
    arrays = function.make(pool)
    flat = dict(arrays)
    for argument, kind in function.arrays.items():
        if kind.axis is not None and kind not in (AVAILABLE, GROUPS):
            first = arrays[argument].take([0], kind.axis)
            flat[argument] = np.broadcast_to(first, arrays[argument].shape)
    copies = {argument: array.copy() for argument, array in flat.items()}
    assert all_bits(function(flat, pool.n)) == all_bits(function(copies, pool.n))


@those(function for function in FUNCTIONS if "n_threads" in function.takes)  # the others go one by one
@pytest.mark.parametrize("order", ["C", "F"])
def test_threads_change_no_bit(function, order):
    pool = Pool(function.many, 8, 8, np.float32)
    arrays = {argument: np.asarray(array, order=order) for argument, array in function.make(pool).items()}
    options = {"k": 5} if "k" in function.takes else {}
    one, two, three = (all_bits(function(arrays, pool.n, n_threads=n, **options)) for n in (1, 2, 3))
    assert one == two == three


@those(function for function in FUNCTIONS if not function.wide_only)
@drawn
@given(pool=POOLS, narrow=st.sampled_from([np.float16, ml_dtypes.bfloat16]), data=st.data())
def test_narrow_floats_count_as_the_float32_numbers_that_they_are(function, pool, narrow, data):
    arrays = function.make(replace(pool, dtype=narrow))
    wide = {
        argument: array.astype(np.float32) if array.dtype == narrow else array
        for argument, array in arrays.items()
    }
    layout = data.draw(st.sampled_from([name for name, _ in layouts_of(np.zeros((1, 1), narrow))]))
    seen = {argument: LAYOUTS[layout](array) for argument, array in arrays.items()}
    assert all_bits(function(seen, pool.n)) == all_bits(function(wide, pool.n))


def moved(function, arrays, order):
    """Give the arguments for the pool whose row i is row order[i] of this one."""
    new_number = np.argsort(order)
    for argument, array in arrays.items():
        kind = function.arrays[argument]
        if kind in ROW_NUMBERS:
            yield argument, new_number[array]
        else:
            yield argument, array if kind.axis is None else array.take(order, kind.axis)


def moved_back(function, answer, order):
    """Give the answer for a moved pool in the numbers of the pool that it was."""
    new_number = np.argsort(order)
    if isinstance(answer, qr.Picks):
        return order[answer.indices], answer.values
    if function.name == "select.coverage":
        representative, distance = answer
        return order[representative][new_number], distance[new_number]
    return [part[..., new_number] for part in parts(answer)]


@those(function for function in FUNCTIONS if not function.in_order)
@drawn
@given(pool=POOLS, data=st.data())
def test_rows_in_another_order_are_scored_and_picked_all_the_same(function, pool, data):
    """Of rows in general position: with 2 features or more no two are as good as each other."""
    pool = replace(pool, c=max(pool.c, 2), d=max(pool.d, 2))
    order = np.array(data.draw(st.permutations(range(pool.n))))
    arrays = function.make(pool)
    answer = function(dict(moved(function, arrays, order)), pool.n)
    for there, here in zip(moved_back(function, answer, order), parts(function(arrays, pool.n)), strict=True):
        if function.exact or here.dtype.kind == "i":
            assert bits(there) == bits(here)
        else:
            close = 1e-12 if pool.dtype == np.float64 else 1e-5
            np.testing.assert_allclose(there, here, rtol=close, atol=close * np.abs(here).max())


@every_function
@drawn
@given(pool=POOLS, bad=st.sampled_from(BAD), data=st.data())
def test_a_number_that_is_not_finite_is_refused_by_name_or_treated_as_documented(function, pool, bad, data):
    pool = replace(pool, c=max(pool.c, 2))
    arrays = function.make(pool)
    argument = data.draw(st.sampled_from([name for name, array in arrays.items() if array.dtype.kind == "f"]))
    kind = function.arrays[argument]
    # Only the numbers of rows that may be picked are promised to be looked at.
    place = [data.draw(st.integers(0, size - 1)) for size in arrays[argument].shape]
    row = place[kind.axis] if kind.axis is not None else None
    if row is not None and "available" in arrays:
        row = place[kind.axis] = row - row % 8
    arrays[argument][tuple(place)] = bad
    before = {name: bits(array) for name, array in arrays.items()}
    allowed = kind.allowed.get(bad)  # NaN is found as the object that it is
    if allowed:
        assert allowed(function(arrays, pool.n), row)
    else:
        with pytest.raises(ValueError, match=rf"^{argument}\b") as refusal:
            function(arrays, pool.n)
        if row is not None:
            assert f"row {row}" in str(refusal.value)
    assert {name: bits(array) for name, array in arrays.items()} == before


@every_function
def test_an_option_of_another_kind_is_refused_by_name(function):
    arrays = function.make(Pool(40))
    # These are not read with every metric or kernel.
    unread = {"seed", "progress", "reference"} if function.name == "information_density" else set()
    for option in sorted(function.takes - set(function.arrays) - unread - {"self", "gamma"}):
        with pytest.raises((ValueError, TypeError), match=rf"^{option}\b"):
            function(arrays, 40, **{option: object()})
        if option in ("k", "n_threads", "member_axis", "missing", "n_classes"):
            with pytest.raises(ValueError, match=rf"^{option}: expected .*got {2**70}"):
                function(arrays, 40, **{option: 2**70})
    if "k" in function.takes:
        with pytest.raises(ValueError, match=r"^k\b"):
            function(arrays, 40, k=-1)


@every_function
@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row_have_an_answer_or_an_error_that_names_the_reason(function, n):
    arrays = function.make(Pool(n))
    options = {"k": n} if "k" in function.takes else {}
    if function.refuses[n]:
        with pytest.raises(ValueError, match=rf"^{function.refuses[n]}\b"):
            function(arrays, n, **options)
        return
    for part in parts(function(arrays, n, **options)):
        assert part.shape[-1] == n
        assert part.dtype.kind in "fi"


@those(function for function in FUNCTIONS if not function.streams)
def test_an_argument_of_text_or_of_other_dimensions_is_refused_by_name(function):
    arrays = function.make(Pool(40))
    for argument, array in arrays.items():
        unfit = [array[None]]
        unfit += [array.reshape(-1), array.flat[0]] if array.ndim > 1 else []
        unfit += [array.astype(str)] if array.dtype.kind == "f" else []
        for other in unfit:
            with pytest.raises((ValueError, TypeError), match=rf"^{argument}\b"):
                function(arrays | {argument: other}, 40)
