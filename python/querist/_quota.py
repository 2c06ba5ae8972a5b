"""Quotas: how many rows of each group a batch may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist._arguments import count, described
from querist._arrays import as_array

Limit: TypeAlias = int | float
"""At most so many rows of a group, or that share of the batch, rounded up."""

Quota: TypeAlias = Limit | Mapping[int, Limit] | Mapping[str, Limit]
"""The limit of every group, or that of each group named, the others without one."""


def quotas(
    groups: ArrayLike | None, quota: Quota | None, n: int, k: Any
) -> tuple[NDArray[np.uint32], list[int]] | None:
    """Give for each of n rows the place of its group, and for each place how many of k picks it may hold.

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
    if groups is None or quota is None:
        given, missing = ("quota", "groups") if groups is None else ("groups", "quota")
        msg = f"{given}: expected {missing} with it, got None"
        raise ValueError(msg)
    array = as_array(groups, "groups")
    if array.dtype.kind not in "biuU":
        msg = f"groups: expected an integer or a string for each row, got {described(array)}"
        raise TypeError(msg)
    if array.shape != (n,):
        msg = f"groups: expected shape ({n},), one for each row, got {array.shape}"
        raise ValueError(msg)
    size = count(k, "k")
    names, places = np.unique(array, return_inverse=True)
    if isinstance(quota, Mapping):
        limits = [size] * len(names)
        known = {name: place for place, name in enumerate(names.tolist())}
        for name, limit in quota.items():
            if name not in known:
                msg = f"quota: group {name!r} has no row"
                raise ValueError(msg)
            limits[known[name]] = _at_most(limit, size, f"quota[{name!r}]")
    else:
        limits = [_at_most(quota, size, "quota")] * len(names)
    return places.astype(np.uint32), limits


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
