"""A pool and what goes over its rows, made at the start and anew where the pool grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from querist._arguments import finite_weights
from querist._features import Features
from querist._model import CheckedModel
from querist._picker import Picker
from querist._pool import Pool
from querist._quota import quota_setting
from querist._strategies import Recipe
from querist._training import Training


class Layout(NamedTuple):
    """A pool and what goes over its rows."""

    pool: Pool
    training: Training
    picker: Picker
    given: dict[str, Any]  # what a resumed campaign must have in common with this one


def laid_out(
    model: CheckedModel,
    X: Any,
    options: Mapping[str, Any],
    root: int,
    *,
    embed: Any,
    groups: Any,
    cost: Any,
) -> Layout:
    """Give the layout of a pool, by the options of a learner, if all of it is as it should be."""
    pool = Pool(X, options["chunk"])
    training = Training(model, pool, retrain=options["retrain"], warm_at=options["warm_at"])
    picker = Picker(
        model,
        pool,
        Features(pool, embed),
        training,
        recipe=Recipe(options["score"], options["density"], options["select"]),
        strategy=options["strategy"],
        epsilon=options["epsilon"],
        cold=options["cold"],
        groups=groups,
        quota=options["quota"],
        root=root,
    )
    given = {
        **options,
        "embed": embed,
        "epsilon": float(options["epsilon"]),
        "warm_at": dict(training.warm_at) or None,  # as in a journal from before there was one
        "groups": picker.groups,
        "quota": quota_setting(options["quota"]),
        "chunk": None if options["chunk"] is None else int(options["chunk"]),
        "cost": None if cost is None else finite_weights(cost, len(pool), "cost"),
        "retrain": dict(training.retrain),
    }
    return Layout(pool, training, picker, given)
