"""Committees whose members come one at a time, for those that do not fit in memory together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from querist import _core
from querist._arguments import count
from querist._arrays import as_array
from querist._deadline import Deadline

# What can be told without going back to a member, and how the consensus is scored for it.
OF_CONSENSUS = {
    "consensus_entropy": "entropy",
    "consensus_margin": "margin",
    "consensus_least_confidence": "least_confidence",
}
POSSIBLE = ("bald", *OF_CONSENSUS)

# How far from 1 a consensus may add up to: its members are within 1e-3, and so is it but for rounding.
TOLERANCE = 2e-3


class Streamed:
    """The running consensus and BALD of a weighted committee: O(n c) memory, however many members.

    BALD grows by the chain rule of the Jensen-Shannon divergence: that of all members is the weighted mean of
    that of the members so far, plus that of the pair (consensus so far, new member). Every term is
    non-negative, so nothing cancels.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        out: Sequence[Any] | None,
        invalid: str,
        n_threads: int | None,
        deadline: float | None,
    ) -> None:
        self._names = list(names)
        self._out = out
        self._invalid = invalid
        self._n_threads = n_threads
        self._deadline = Deadline(deadline)
        self._weight = 0.0
        self._dtype: np.dtype[Any] | None = None

    def _start(self, member: NDArray[Any]) -> None:
        """Take shape and dtype from the first member, and check `out` before any work is done."""
        self._dtype = member.dtype.newbyteorder("=")
        n = len(member)
        self._pair = np.zeros((2, *member.shape))  # the consensus so far, and the new member
        self._bald = np.zeros(n)
        self._gain = np.zeros(n)
        self._bad = np.zeros(n, bool)
        if self._out is not None:
            check_outputs(self._out, n, self._dtype)

    def add(self, given: Any, index: int, weight: float) -> None:
        """Let one more member in, unless its weight is 0."""
        member = as_array(given, f"proba: member {index}")
        self._check(member, index)
        if self._dtype is None:
            self._start(member)
        if any(np.may_share_memory(array, member) for array in self._out or ()):
            msg = f"out: shares memory with member {index}, which is never written"
            raise ValueError(msg)
        if weight == 0:
            return
        consensus, new = self._pair
        new[:] = member
        self._validate(new, index)
        total = self._weight + weight
        if self._weight == 0:
            consensus[:] = new
        else:
            share = weight / total
            if "bald" in self._names:
                self._grow(self._weight / total, share)
            new -= consensus
            new *= share
            consensus += new
        self._weight = total

    def _grow(self, before: float, share: float) -> None:
        shares = np.array([before, share])
        _core.committee(
            self._pair,
            ["bald"],
            0,
            shares,
            [self._gain],
            self._invalid,
            self._n_threads,
            self._deadline.left(),
            TOLERANCE,
        )
        self._bald *= before
        self._bald += self._gain

    def scores(self) -> list[NDArray[Any]]:
        """Give the scores of the members so far, in the order of the names."""
        found = {"bald": self._bald}
        wanted = [name for name in self._names if name != "bald"]
        if wanted:
            scores = [OF_CONSENSUS[name] for name in wanted]
            of_consensus = _core.scores(
                self._pair[0],
                scores,
                False,
                False,
                None,
                self._invalid,
                self._n_threads,
                self._deadline.left(),
                TOLERANCE,
            )
            found |= dict(zip(wanted, of_consensus, strict=True))
        for array in found.values():
            array[self._bad] = np.nan
        if self._out is None:
            return [found[name].astype(self._dtype) for name in self._names]
        for name, array in zip(self._names, self._out, strict=True):
            array[:] = found[name]
        return list(self._out)

    def _check(self, member: NDArray[Any], index: int) -> None:
        if member.dtype.newbyteorder("=") not in (np.float32, np.float64):
            msg = f"proba: member {index}: expected float32 or float64, got {member.dtype}"
            raise TypeError(msg)
        if member.ndim != 2:
            msg = f"proba: member {index}: expected shape (n, c), got {member.shape}"
            raise ValueError(msg)
        if self._dtype is None:
            return
        if member.shape != self._pair.shape[1:]:
            shape = self._pair.shape[1:]
            msg = (
                f"proba: member {index}: expected shape {shape} as of the members before, got {member.shape}"
            )
            raise ValueError(msg)
        if member.dtype.newbyteorder("=") != self._dtype:
            msg = f"proba: member {index}: expected {self._dtype} as the members before, got {member.dtype}"
            raise TypeError(msg)

    def _validate(self, member: NDArray[np.float64], index: int) -> None:
        """Raise for a row that is not valid, or note it and make it uniform."""
        try:
            score = _core.score(
                member,
                "least_confidence",
                False,
                False,
                self._gain,
                self._invalid,
                self._n_threads,
                self._deadline.left(),
            )
        except ValueError as error:
            about, _, text = str(error).partition(": ")
            if about != "proba":
                raise
            text = text.replace("for logits pass from_logits=True; ", "")  # which no committee takes
            msg = f"proba: member {index}: {text}"
            raise ValueError(msg) from None
        bad = np.isnan(score)
        if bad.any():
            self._bad |= bad
            member[bad] = 1 / member.shape[1]


def stream(
    members: Iterator[Any],
    names: Sequence[str],
    *,
    member_axis: int,
    weights: NDArray[np.float64] | None,
    out: Sequence[Any] | None,
    invalid: str,
    n_threads: int | None,
    deadline: float | None,
) -> list[NDArray[Any]]:
    """Score the rows by members that come one at a time.

    Raises
    ------
    ValueError
        If a name needs all members at once, no member comes, their number is not that of the weights, or
        their shapes differ.
    TypeError
        If a member does not hold float32 or float64, or not that of the members before.
    """
    impossible = [name for name in names if name not in POSSIBLE]
    if impossible:
        msg = f"proba: from an iterator of members expected some of {list(POSSIBLE)}, got {impossible}"
        raise ValueError(f"{msg}; pass all members as one array")
    if count(member_axis, "member_axis") != 0:
        msg = f"member_axis: expected 0 with an iterator, which gives (n, c) arrays, got {member_axis}"
        raise ValueError(msg)
    if weights is not None:
        weights = weights / weights.max()  # their sum is finite then
    streamed = Streamed(names, out=out, invalid=invalid, n_threads=n_threads, deadline=deadline)
    index = -1
    for index, given in enumerate(members):
        if weights is not None and index == len(weights):
            msg = f"weights: expected one for each member, got {len(weights)} and yet another member"
            raise ValueError(msg)
        streamed.add(given, index, 1.0 if weights is None else float(weights[index]))
    if index < 0:
        msg = "proba: expected at least one member, got an iterator that has none"
        raise ValueError(msg)
    if weights is not None and index + 1 != len(weights):
        msg = f"weights: expected one for each of the {index + 1} members, got {len(weights)}"
        raise ValueError(msg)
    return streamed.scores()


def check_outputs(out: Sequence[Any], n: int, dtype: np.dtype[Any]) -> None:
    """Raise unless each is what the core would write to as well: n numbers of `dtype`, side by side."""
    for i, array in enumerate(out):
        if not isinstance(array, np.ndarray):
            msg = f"out: expected a numpy array of {dtype}, got {type(array).__name__}"
            raise TypeError(msg)
        if array.dtype != dtype:
            msg = f"out: expected an array of {dtype}, got {array.dtype}"
            raise TypeError(msg)
        if array.shape != (n,):
            msg = f"out: expected shape ({n},), got {array.shape}"
            raise ValueError(msg)
        if not (array.flags.c_contiguous and array.flags.writeable and array.flags.aligned):
            msg = "out: expected a writeable, C-contiguous and aligned array"
            raise ValueError(msg)
        if any(np.may_share_memory(array, other) for other in out[:i]):
            msg = f"out: array {i} shares memory with another one"
            raise ValueError(msg)
