"""What a strategy is given: the state of the campaign, and what the model says, computed when asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist._arguments import count, row_numbers
from querist._density import density_weighted
from querist._features import Density, Features
from querist._labelled import Labelled
from querist._model import CheckedModel
from querist._picks import Picks
from querist._pool import Pool
from querist._protocols import Label, Score
from querist._quota import Groups, Limits
from querist._reasons import COLUMNS
from querist._scan import Scan, scan
from querist._strategies import (
    SELECTIONS,
    Cold,
    Recipe,
    Strategy,
    draw,
    drawn_from,
    named_recipe,
    spread_out,
    spread_over_groups,
)


@dataclass
class Source:
    """The model and the pool at one batch; each thing is computed once."""

    model: CheckedModel
    pool: Pool
    features: Features
    labelled: Labelled
    root: int  # of all random numbers
    available: NDArray[np.bool_]
    is_cold: bool
    cold: Cold
    groups: Groups | None
    scans: dict[Any, Scan] = field(default_factory=dict)
    made: NDArray[Any] | None = None  # features
    whole: NDArray[Any] | None = None  # probabilities
    density: NDArray[Any] | None = None
    picked_by: str = ""  # the selection that was asked last
    picked_by_of: dict[int, str] = field(default_factory=dict)  # the one that gave each row to a function

    def scores(self, score: Score) -> NDArray[Any]:
        """Give the scores of all rows."""
        if score not in self.scans:
            self.scans[score] = self._scan(score)
        return cast("NDArray[Any]", self.scans[score].scores)

    def feature_rows(self) -> NDArray[Any]:
        """Give the features of all rows."""
        if self.made is None:
            self.made = self.features.now()
        return self.made

    def proba(self) -> NDArray[Any]:
        """Give the probabilities of all rows, of the consensus if there are several models."""
        if self.whole is None:
            parts: list[NDArray[Any]] = []
            self.scans[None] = self._scan(None, parts)
            self.whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return self.whole

    def terms(self) -> dict[str, NDArray[Any]]:
        """Give what went into the values of all rows, by name."""
        named = {_term(score): one.scores for score, one in self.scans.items() if one.scores is not None}
        return named if self.density is None else {**named, "density": self.density}

    def predicted(self, rows: NDArray[np.int64]) -> dict[str, list[Any]]:
        """Give for some rows the likeliest label, or column of a function; for a margin both, and shares."""
        predictions, classes = self.outlook().predictions, self.model.classes
        if predictions is None:
            return {}
        columns: dict[str, NDArray[Any]] = {"predicted": predictions[rows]}
        shares: dict[str, list[Any]] = {}
        if "margin" in self.scans and (proba := self.scans["margin"].proba) is not None:
            some = proba[rows].astype(np.float64)
            order = np.argsort(-some, axis=1, kind="stable")
            for name, place in (("predicted", order[:, 0]), ("runner_up", order[:, 1])):
                columns[name] = place
                shares[f"{name}_share"] = some[np.arange(len(rows)), place].tolist()
        labels = {name: (at if classes is None else classes[at]).tolist() for name, at in columns.items()}
        return {**labels, **shares}

    def outlook(self) -> Scan:
        """Give what a pass of the model over the pool told, if there was one."""
        return next(iter(self.scans.values()), Scan(None, math.nan, None))

    def _scan(self, score: Score | None, keep: list[NDArray[Any]] | None = None) -> Scan:
        try:
            return scan(self.model, self.pool, score, self.available, keep)
        except Exception as error:
            if self.is_cold:
                error.add_note(
                    "context: nothing is fitted in the cold start; a strategy that asks the model is to look "
                    "at context.is_cold first, or to give context.pick(...), which does"
                )
            raise


@dataclass
class Context:
    """What a strategy sees of a campaign when a batch is picked.

    In the cold start, where `is_cold` is true, a model that is yet to be fitted has neither `scores` nor
    `proba`: a strategy of one's own looks at that first, or gives ``pick("margin")``, or another name, which
    then picks as the cold start does.

    Attributes
    ----------
    number : int
        The number of the batch, 1 for the first.
    k : int
        How many rows to pick, at most; no more than are available.
    available : (n,) boolean array
        The rows that may be picked: neither answered nor leased.
    labels : mapping of int to label
        The labels in hand.
    seed : int
        For what is random: a function of the learner's seed and `number`.
    groups : (n,) array, or None
        The learner's `groups`, integers or strings.
    quota : mapping of group to int, or None
        The most that the batch may hold of each group, if the learner has a `quota`: more is an error. With
        `groups` it is what the functions of `querist.select` take.

    Examples
    --------
    >>> import querist as qr
    >>> def margin_after_two(context):
    ...     return context.pick("random" if context.number <= 2 else "margin")
    >>> pool = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]
    >>> learner = qr.ActiveLearner(lambda X: X, pool, strategy=margin_after_two, batch_size=1)
    >>> [len(round) for round in learner.run(lambda indices, rows: ["cat"])]
    [1, 1, 1]

    `without` has an example of two strategies in one batch.
    """

    number: int
    k: int
    available: NDArray[np.bool_]
    labels: Mapping[int, Label]
    limits: Limits | None  # of this batch
    _recipe: Recipe
    _source: Source
    _picked: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # of this batch, before

    @property
    def groups(self) -> NDArray[Any] | None:
        """The (n,) groups of all rows; None if the learner was given none."""
        groups = self._source.groups
        return None if groups is None else groups.of_rows()

    @property
    def quota(self) -> dict[Any, int] | None:
        """The most that this batch may hold of each group; None without a quota."""
        if self.limits is None or self._source.groups is None:
            return None
        return dict(zip(self._source.groups.names.tolist(), self.limits.most, strict=True))

    @property
    def _open(self) -> dict[str, Any]:
        """What may be picked, as arguments of a selection."""
        return {"available": self.available, "groups": self.limits}

    @property
    def seed(self) -> int:
        """Where random numbers start."""
        # Of a part of a batch another: the same numbers would draw the neighbours of the rows before.
        part = [len(self._picked)] if len(self._picked) else []
        sequence = np.random.SeedSequence([self._source.root, self.number, *part])
        return int(sequence.generate_state(1, np.uint64)[0])

    @property
    def is_cold(self) -> bool:
        """Whether nothing is fitted yet, so that the model has neither `scores` nor `proba`."""
        return self._source.is_cold

    @property
    def labeled(self) -> NDArray[np.int64]:
        """The labelled rows, in ascending order."""
        return self._source.labelled.rows()

    @property
    def taken(self) -> NDArray[np.int64]:
        """The rows that are answered, leased or left out: what a diverse batch should keep away from."""
        taken = ~self._source.available
        taken[self._picked] = True
        return np.flatnonzero(taken).astype(np.int64)

    @property
    def scores(self) -> NDArray[Any]:
        """The (n,) scores by the learner's `score`, weighted by its `density`."""
        weights = self.weights
        if weights is None:
            raise ValueError("score: expected one for this selection, got None")
        return weights

    @cached_property
    def weights(self) -> NDArray[Any] | None:
        """As `scores`; None if there is neither a score nor a density."""
        recipe = self._recipe
        scores = None if recipe.score is None else self._source.scores(recipe.score)
        if recipe.density is None:
            return scores
        density = self._source.density = self._density(recipe.density)
        return density if scores is None else density_weighted(scores, density)

    @property
    def proba(self) -> NDArray[Any]:
        """The (n, c) probabilities of the whole pool, which need that much memory."""
        return self._source.proba()

    @property
    def features(self) -> NDArray[Any]:
        """The (n, d) features: `embed`, or the pool itself."""
        return self._source.feature_rows()

    def pick(self, strategy: Strategy, k: int | None = None) -> Picks:
        """Pick by another strategy, by name or a function; in the cold start, as the cold start does.

        Parameters
        ----------
        strategy : str or callable
            As the learner's `strategy`.
        k : int, optional
            How many, by default all `k`; 0 gives none.

        Returns
        -------
        Picks
            At most k rows, fewer if not as many have a score.

        Examples
        --------
        >>> import querist as qr
        >>> learner = qr.ActiveLearner(
        ...     lambda X: X, [[0.9, 0.1], [0.5, 0.5]], strategy=lambda context: context.pick("entropy", k=1)
        ... )
        >>> learner.ask().indices
        array([1])
        """
        context = self if k is None else replace(self, k=min(count(k, "k"), self.k))
        if context.k == 0:
            return Picks(np.empty(0, np.int64), np.empty(0))
        if not isinstance(strategy, str):
            self._source.picked_by = _name(strategy)
            return context._checked(strategy(context), strategy)
        picks = context._pick_by(named_recipe(strategy, self._recipe))
        self._source.picked_by_of |= dict.fromkeys(picks.indices.tolist(), self._source.picked_by)
        return picks

    def without(self, rows: ArrayLike) -> Context:
        """Give the context that has picked these rows already: so strategies are mixed.

        The rows are not available there, and as if leased: a diverse selection keeps away from them, and they
        count for a quota.

        Parameters
        ----------
        rows : (n,) booleans or unique integers
            As the indices of `Picks`. Those that are not available change nothing.

        Returns
        -------
        Context
            With the same `k`, but for what is left; if that is nothing, its `pick` gives no rows.

        Raises
        ------
        TypeError, ValueError
            If they are no rows of the pool.

        Examples
        --------
        >>> import numpy as np
        >>> import querist as qr
        >>> def half_and_half(context):
        ...     half = context.k // 2
        ...     first = context.pick("margin", k=half)
        ...     rest = context.without(first.indices).pick("core_set", k=context.k - half)
        ...     return np.concatenate([first.indices, rest.indices])
        >>> pool = np.array([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4]])
        >>> qr.ActiveLearner(lambda X: X, pool, strategy=half_and_half, batch_size=2).ask().indices
        array([1, 0])
        """
        given = row_numbers(rows, len(self.available), "rows")
        new = given[self.available[given]]
        context = replace(self, _picked=np.concatenate([self._picked, new]))
        if self.limits is not None:
            left = self.limits.after(new)
            context.limits = left._replace(most=[max(most, 0) for most in left.most])
        gone = np.zeros(len(self.available), bool)
        gone[new] = True
        return context._less(gone)

    def _explore(self, strategy: Strategy | Recipe, epsilon: float) -> tuple[Picks, NDArray[np.bool_]]:
        """Pick by the strategy, and a share `epsilon` at random; say which are which."""
        if epsilon == 0:
            wise = self._pick_wisely(strategy)
            return wise, np.zeros(len(wise.indices), bool)
        generator = np.random.default_rng([self.seed, 1])  # not the one of a random strategy
        n_random = int(epsilon * self.k + generator.random())
        wise = Picks(np.empty(0, np.int64), np.empty(0))
        if n_random < self.k:
            wise = replace(self, k=self.k - n_random)._pick_wisely(strategy)
        left = self.available.copy()
        left[wise.indices] = False
        limits = None if self.limits is None else self.limits.after(wise.indices)
        n_random = min(n_random, int(np.count_nonzero(left)) if limits is None else limits.room(left))
        if n_random == 0:
            return wise, np.zeros(len(wise.indices), bool)
        drawn = drawn_from(left, n_random, int(generator.integers(2**63)), limits)
        indices, values = map(np.concatenate, zip(wise, drawn, strict=True))
        both = Picks(indices, values)
        return both, np.arange(len(both.indices)) >= len(wise.indices)

    def _less(self, rows: NDArray[np.bool_]) -> Context:
        """Give the context in which these rows may not be picked, with the `k` that is left."""
        left = self.available & ~rows
        room = int(np.count_nonzero(left)) if self.limits is None else self.limits.room(left)
        return replace(self, available=left, k=min(self.k, room))

    def _pick_wisely(self, strategy: Strategy | Recipe) -> Picks:
        return self._pick_by(strategy) if isinstance(strategy, Recipe) else self.pick(strategy)

    def _pick_by(self, recipe: Recipe) -> Picks:
        """Pick by a recipe."""
        context = self if recipe is self._recipe else replace(self, _recipe=recipe)
        self._source.picked_by = _name(recipe.select)
        if recipe.asks_model and self._source.is_cold:
            return context._pick_cold()
        weights = context.weights
        if weights is not None:
            unscored = context.available & np.isnan(weights)
            if unscored.any():
                context = context._less(unscored)
            if context.k == 0:
                raise ValueError(
                    f"score {_name(recipe.score)}: expected a number for some available row, got NaN for each"
                )
        if isinstance(recipe.select, str):
            return SELECTIONS[recipe.select](context)
        return context._checked(recipe.select(context), recipe.select)

    def _pick_cold(self) -> Picks:
        """Pick while nothing can be fitted."""
        self._source.picked_by = f"the cold start ({self._source.cold})"
        if self._source.cold == "diverse":
            return spread_out(self)
        groups = self._source.groups
        return draw(self) if groups is None else spread_over_groups(self, groups)

    def _checked(self, picks: Any, strategy: Any) -> Picks:
        """Give what a function returned, if it can be asked."""
        name = f"strategy {_name(strategy)}"
        if isinstance(picks, np.ndarray) and picks.ndim == 1:
            picks = picks, np.full(len(picks), np.nan)
        if not isinstance(picks, tuple) or len(picks) != 2:
            raise TypeError(f"{name}: expected querist.Picks, got {type(picks).__name__}")
        rows, values = np.asarray(picks[0]), np.asarray(picks[1])
        # A copy, as of the rows: a batch makes its arrays read-only, and these may be the caller's own.
        is_plain = values.dtype.kind == "f" and values.dtype.itemsize <= 8  # what a journal keeps to the bit
        values = values.astype(values.dtype if is_plain else np.float64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.shape != values.shape:
            raise ValueError(
                f"{name}: expected row numbers and as many values, got {rows.dtype} of shape {rows.shape} "
                f"and values of shape {values.shape}"
            )
        if not 1 <= len(rows) <= self.k:
            raise ValueError(f"{name}: expected 1 to {self.k} rows, got {len(rows)}")
        rows = rows.astype(np.int64)
        for at, row in enumerate(rows.tolist()):
            if not (0 <= row < len(self.available) and self.available[row]):
                raise ValueError(f"{name}: expected available rows, got {row} at place {at}")
        if len(set(rows.tolist())) != len(rows):
            raise ValueError(f"{name}: expected each row once, got {rows.tolist()}")
        if self.limits is not None and min(left := self.limits.after(rows).most) < 0:
            group, most = list(cast("dict[Any, int]", self.quota).items())[left.index(min(left))]
            got = most - min(left)
            raise ValueError(f"{name}: expected by quota at most {most} rows of group {group!r}, got {got}")
        return Picks(rows, values)

    def _density(self, density: Density) -> NDArray[Any]:
        return self._source.features.density(density, self._source.feature_rows())


def _name(given: Any) -> str:
    return given if isinstance(given, str) else str(getattr(given, "__name__", type(given).__name__))


def _term(score: Any) -> str:
    """Give the name of a score among the reasons, which have some of their own."""
    name = _name(score)
    return f"{name}_score" if name in COLUMNS else name
