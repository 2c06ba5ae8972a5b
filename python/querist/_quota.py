"""Quotas: how many rows of each group a batch may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist._arguments import count, described
from querist._arrays import as_array

Limit: TypeAlias = int | float
"""At most so many rows of a group, or that share of the batch, rounded up."""

Quota: TypeAlias = Limit | Mapping[int, Limit] | Mapping[str, Limit]
"""The limit of every group, or that of each group named, the others without one."""


class Groups(NamedTuple):
    """The group of each row, as its place in the list of their names."""

    names: NDArray[Any]  # ascending
    places: NDArray[np.uint32]

    def of_rows(self) -> NDArray[Any]:
        """Give the name of each row's group."""
        return self.names[self.places]


class Limits(NamedTuple):
    """How many rows of each group may be picked; the core takes it as it is."""

    places: NDArray[np.uint32]  # the group of each row
    most: list[int]  # of each group

    def room(self, available: NDArray[np.bool_]) -> int:
        """Give how many of the rows can be picked."""
        free = np.bincount(self.places[available], minlength=len(self.most))
        return int(np.minimum(free, self.most).sum())

    def after(self, rows: NDArray[np.int64]) -> Limits:
        """Give what is left when these rows are picked: below 0 where they are too many."""
        picked = np.bincount(self.places[rows], minlength=len(self.most))
        return Limits(self.places, (self.most - picked).tolist())


def numbered(groups: Any, n: int) -> Groups:
    """Number the groups of n rows, if they are not yet.

    Raises
    ------
    TypeError
        If they are neither integers nor strings.
    ValueError
        If there are not n.
    """
    if isinstance(groups, Groups):
        return groups
    if str(getattr(groups, "dtype", "")).lower() in ("object", "str", "string"):  # text in data frames
        texts = np.asarray(groups)
        groups = texts.astype(str) if set(map(type, texts.flat)) == {str} else groups
    expected = "an integer or a string for each row"
    array = as_array(groups, "groups", expected)
    if array.dtype.kind not in "biuU":
        msg = f"groups: expected {expected}, got {described(array)}"
        raise TypeError(msg)
    if array.shape != (n,):
        msg = f"groups: expected shape ({n},), one for each row, got {array.shape}"
        raise ValueError(msg)
    names, places = np.unique(array, return_inverse=True)
    return Groups(names, places.astype(np.uint32))


def quotas(groups: ArrayLike | Groups | Limits | None, quota: Quota | None, n: int, k: Any) -> Limits | None:
    """Give how many of k picks each group of n rows may hold; what this gave before is given back.

    Raises
    ------
    TypeError
        If the groups are neither integers nor strings, or a limit is no number.
    ValueError
        If one argument comes without the other, there are not n groups, a limit is out of range, or a group
        that has a limit has no row.
    """
    if groups is None and quota is None:
        return None
    if isinstance(groups, Limits):
        return groups
    if groups is None or quota is None:
        given, missing = ("quota", "groups") if groups is None else ("groups", "quota")
        msg = f"{given}: expected {missing} with it, got None"
        raise ValueError(msg)
    names, places = numbered(groups, n)
    size = min(count(k, "k"), n)
    if isinstance(quota, Mapping):
        most = [n] * len(names)
        known = {name: place for place, name in enumerate(names.tolist())}
        for name, limit in quota.items():
            if name not in known:
                msg = f"quota: group {name!r} has no row"
                raise ValueError(msg)
            most[known[name]] = _at_most(limit, size, f"quota[{name!r}]")
    else:
        most = [_at_most(quota, size, "quota")] * len(names)
    # No group has more than n rows: what is larger need not fit in the core's integers.
    return Limits(places, [min(limit, n) for limit in most])


def quota_setting(quota: Quota | None) -> Any:
    """Give what tells one quota from another: in JSON, where 1.0, a share, would equal 1, a row."""
    if isinstance(quota, Mapping):
        return {str(name): str(limit) for name, limit in quota.items()}
    return None if quota is None else str(quota)


def _at_most(limit: Any, k: int, argument: str) -> int:
    if isinstance(limit, float | np.floating):
        if not 0 < limit <= 1:
            msg = f"{argument}: expected an integer, or a share above 0 and up to 1, got {limit}"
            raise ValueError(msg)
        return math.ceil(float(limit) * k * (1 - 1e-12))  # a third of 3 is 1
    number = count(limit, argument)
    if number < 0:
        msg = f"{argument}: expected 0 or more, got {number}"
        raise ValueError(msg)
    return number
