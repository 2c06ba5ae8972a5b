"""How a batch is picked: a score, weighted by a density, then a selection; by the names of the field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from querist import select
from querist._features import Density, Features, check_density
from querist._model import CheckedModel
from querist._picks import Picks
from querist._protocols import Score
from querist._quota import Groups, Limits
from querist._scan import OF_COMMITTEES, OF_ROWS, OF_VOTES, check_score
from querist._scores import entropy

if TYPE_CHECKING:
    from querist._context import Context

Pick: TypeAlias = "Callable[[Context], Picks]"
"""A selection or a strategy of one's own: from what is known to what to ask."""


def draw(context: Context) -> Picks:
    """Give k of the available rows at random, with the value NaN."""
    return drawn_from(context.available, context.k, context.seed, context.limits)


def drawn_from(available: NDArray[np.bool_], k: int, seed: int, limits: Limits | None) -> Picks:
    """Give k of the rows at random, with the value NaN."""
    generator, rows = np.random.default_rng(seed), np.flatnonzero(available)
    if limits is None:
        rows = generator.choice(rows, k, replace=False)
    else:
        rows = generator.permutation(rows)
        of_rows = limits.places[rows]
        rows = rows[_turns(of_rows) < np.array(limits.most)[of_rows]][:k]
    return Picks(rows.astype(np.int64), np.full(k, np.nan))


def spread_over_groups(context: Context, groups: Groups) -> Picks:
    """Draw k available rows so that the groups with the fewest taken rows come first."""
    rows = np.random.default_rng(context.seed).permutation(np.flatnonzero(context.available))
    of_rows = groups.places[rows]
    turns = _turns(of_rows)
    if context.limits is not None:
        open_ = turns < np.array(context.limits.most)[of_rows]
        rows, of_rows, turns = rows[open_], of_rows[open_], turns[open_]
    taken = np.bincount(groups.places[context.taken], minlength=len(groups.names))
    rows = rows[np.argsort(taken[of_rows] + turns, kind="stable")[: context.k]]
    return Picks(rows.astype(np.int64), np.full(context.k, np.nan))


def _turns(groups: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Give for each item how many before it are of its group."""
    order = np.argsort(groups, kind="stable")
    grouped = groups[order]
    turns = np.empty(len(groups), np.int64)
    turns[order] = np.arange(len(groups)) - np.searchsorted(grouped, grouped)
    return turns


def spread_out(context: Context) -> Picks:
    """Give the k available rows farthest from all that is taken and from each other."""
    return select.k_center(context.features, context.k, labeled=context.taken, **context._open)


def _power(context: Context) -> Picks:
    possible = context._less(context.scores == 0)  # with the score 0 goes the chance 0
    if possible.k == 0:
        return context.pick("random")
    return select.power(possible.scores, possible.k, seed=context.seed, **possible._open)


def _badge(context: Context) -> Picks:
    proba = context.proba
    # The function takes valid rows alone, but one that cannot be asked about need not be valid.
    unfit = ~context.available & np.isnan(entropy(proba, invalid="nan"))
    if unfit.any():
        proba = proba.copy()
        proba[unfit] = 1 / proba.shape[1]
    return select.badge(proba, context.features, context.k, seed=context.seed, **context._open)


def _covered(scores: NDArray[Any] | None) -> Any:
    """Give what each row counts for where it is to be covered: one without a score, nothing."""
    return None if scores is None else np.where(np.isnan(scores), 0, scores)


SELECTIONS: dict[str, Pick] = {
    "random": draw,
    "top_k": lambda c: select.top_k(c.scores, c.k, **c._open),
    "power": _power,
    "k_center": lambda c: select.k_center(c.features, c.k, labeled=c.taken, weights=c.weights, **c._open),
    "k_means_pp": lambda c: select.k_means_pp(
        c.features, c.k, labeled=c.taken, weights=c.weights, seed=c.seed, **c._open
    ),
    "badge": _badge,
    "facility_location": lambda c: select.facility_location(
        c.features, c.k, weights=_covered(c.weights), labeled=c.taken, **c._open
    ),
    "mmr": lambda c: select.mmr(c.scores, c.features, c.k, labeled=c.taken, **c._open),
    "ranked_batch": lambda c: select.ranked_batch(c.scores, c.features, c.k, labeled=c.taken, **c._open),
    "max_herding": lambda c: select.max_herding(c.features, c.k, labeled=c.taken, **c._open),
    "uncertainty_herding": lambda c: select.uncertainty_herding(
        _covered(c.scores), c.features, c.k, labeled=c.taken, **c._open
    ),
}

OF_NO_FEATURES = ("random", "top_k", "power")
OF_SCORES = ("top_k", "power", "mmr", "ranked_batch", "uncertainty_herding")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A score, a density and a selection. Without a score the selection alone decides."""

    score: Score | None = "margin"
    density: Density | None = None
    select: str | Pick = "top_k"

    def __post_init__(self) -> None:
        check_score(self.score)
        check_density(self.density)
        if not (callable(self.select) or self.select in SELECTIONS):
            raise ValueError(
                f"select: expected a function or one of {tuple(SELECTIONS)}, got {self.select!r}"
            )

    def check(self, model: CheckedModel, features: Features) -> None:
        """Raise if it asks for what the model, the features or its own score will never give."""
        if self.score == "variance":
            model.check_variance()
        elif self.score in OF_VOTES:
            model.check_votes()
        elif self.score is not None:
            model.check_proba()
        if self.select == "badge":
            model.check_proba()
        if self.score in OF_COMMITTEES:
            model.check_members()
        if self.density is not None:
            features.check("density")
        elif isinstance(self.select, str) and self.select not in OF_NO_FEATURES:
            features.check(f'select "{self.select}"')
        if self.select in OF_SCORES and self.score is None and self.density is None:
            raise ValueError("score: expected one for this selection, got None")

    @property
    def asks_model(self) -> bool:
        """Whether it is of no use before the first fit."""
        return self.score is not None or self.select == "badge" or callable(self.select)


# What a name says replaces that part of the learner's own recipe.
PRESETS: dict[str, dict[str, Any]] = {
    "random": {"score": None, "density": None, "select": "random"},
    **{name: {"score": name} for name in (*sorted(OF_ROWS), *OF_COMMITTEES, "variance")},
    "core_set": {"score": None, "density": None, "select": "k_center"},
    "badge": {"score": None, "density": None, "select": "badge"},
    "information_density": {"density": "information_density"},
    "ranked_batch": {"select": "ranked_batch"},
    "mmr": {"select": "mmr"},
    "power_margin": {"score": "margin", "select": "power"},
    "power_entropy": {"score": "entropy", "select": "power"},
    "k_means_pp": {"score": None, "density": None, "select": "k_means_pp"},
    "facility_location": {"score": None, "density": None, "select": "facility_location"},
    "max_herding": {"score": None, "density": None, "select": "max_herding"},
    "uncertainty_herding": {"select": "uncertainty_herding"},
}

Cold: TypeAlias = Literal["random", "diverse"]
Strategy: TypeAlias = "str | Pick"


def named_recipe(strategy: str, base: Recipe) -> Recipe:
    """Give the recipe of a name."""
    if strategy not in PRESETS:
        raise ValueError(
            f"strategy: expected a function of the context or one of {tuple(PRESETS)}, got {strategy!r}"
        )
    return replace(base, **PRESETS[strategy])
