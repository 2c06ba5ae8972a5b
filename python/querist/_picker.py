"""From the state of a campaign to the next batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from querist._arguments import finite
from querist._balance import predicted_shares
from querist._campaign import Campaign
from querist._context import Context, Source
from querist._events import Asked
from querist._features import Features
from querist._model import CheckedModel
from querist._pool import Pool
from querist._protocols import Label
from querist._quota import Limits, Quota, numbered, quotas
from querist._reasons import Reason, Reasons, reasons
from querist._rounds import Batch, PoolExhausted, ticket_of
from querist._settings import pool_mark
from querist._strategies import Cold, Pick, Recipe, Strategy, named_recipe
from querist._training import Training


class Picker:
    """All that decides what is asked, but for the state of the campaign and of the model."""

    def __init__(
        self,
        model: CheckedModel,
        pool: Pool,
        features: Features,
        training: Training,
        *,
        recipe: Recipe,
        strategy: Strategy | None,
        epsilon: float,
        cold: Cold,
        groups: ArrayLike | None,
        quota: Quota | None,
        root: int,
    ) -> None:
        self.root = root  # of all random numbers
        self.groups = None if groups is None else numbered(groups, len(pool))
        self._model, self._pool, self._features, self._training = model, pool, features, training
        self._quota = quota
        self._limits(1)  # or an error
        self._recipe = named_recipe("random", recipe) if recipe.score == "random" else recipe
        self._strategy = _checked_strategy(strategy, self._recipe)
        self._epsilon = finite(epsilon, "epsilon", least="0 or more")
        if self._epsilon > 1:
            raise ValueError(f"epsilon: expected a share from 0 to 1, got {epsilon}")
        if cold not in ("random", "diverse"):
            raise ValueError(f'cold: expected "random" or "diverse", got {cold!r}')
        self._cold: Cold = cold
        if isinstance(self._strategy, Recipe):
            self._strategy.check(model, features)
            if cold == "diverse" and model.trainable and self._strategy.asks_model:
                features.check('cold "diverse"')

    def pick(
        self,
        campaign: Campaign,
        k: int,
        annotator: Label | None,
        *,
        now: Callable[[], float],
        lease: float | None,
    ) -> Asked:
        """Give the next batch, of at most k rows, as it would be leased now."""
        started = perf_counter()
        source = Source(
            self._model,
            self._pool,
            self._features,
            campaign.labelled,
            self.root,
            campaign.free(),
            self._training.is_cold(campaign),
            self._cold,
            self.groups,
        )
        context = self._context(campaign, source, k)
        (indices, scores), is_random = context._explore(self._strategy, self._epsilon)
        outlook, classes = source.outlook(), self._model.classes
        why = self._why(campaign, source, indices, scores, is_random)
        ticket = ticket_of(context.number, indices, f"{self.root} {self._pool_mark}")
        time = now()
        return Asked(
            time=time,
            number=context.number,
            batch=Batch(indices, scores, ticket, annotator=annotator, why=why),
            expires=None if lease is None else time + lease,
            score_seconds=perf_counter() - started,
            uncertainty=float(outlook.uncertainty),
            predicted_shares=predicted_shares(outlook.predictions, classes),
            predictions=outlook.predictions,
        )

    @cached_property
    def _pool_mark(self) -> str:
        return pool_mark(self._pool)

    def _context(self, campaign: Campaign, source: Source, k: int) -> Context:
        n, n_free = len(self._pool), int(np.count_nonzero(source.available))
        if n_free == 0:
            leased = int(np.count_nonzero(campaign.available))
            others = f"; {leased} are leased to other annotators" if leased else ""
            raise PoolExhausted(f"none of the {n} rows of the pool is left to ask about{others}")
        k = min(k, n_free)
        limits = self._limits(k)
        if limits is not None:
            k = min(k, limits.room(source.available))
            if k == 0:
                raise PoolExhausted(f"none of the {n} rows is left to ask about but {n_free} of quota 0")
        recipe = self._strategy if isinstance(self._strategy, Recipe) else self._recipe
        labels = MappingProxyType(campaign.labels)  # of the campaign itself, which no strategy may change
        return Context(campaign.n_asked + 1, k, source.available, labels, limits, recipe, source)

    def _limits(self, k: int) -> Limits | None:
        return None if self._quota is None else quotas(self.groups, self._quota, len(self._pool), k)

    def _why(
        self,
        campaign: Campaign,
        source: Source,
        indices: NDArray[np.int64],
        values: NDArray[Any],
        is_random: NDArray[np.bool_],
    ) -> Reasons:
        """Keep what the reasons of the picks are made of: what will have changed now, the rest later."""
        terms = {name: numbers[indices] for name, numbers in source.terms().items()}
        predicted = source.predicted(indices)
        features = self._features.given if source.made is None else source.made
        picked_by = [source.picked_by_of.get(row, source.picked_by) for row in indices.tolist()]
        n_answers = len(campaign.record)

        def make() -> tuple[Reason, ...]:
            return reasons(
                indices,
                values,
                ["exploration" if one else by for one, by in zip(is_random.tolist(), picked_by, strict=True)],
                terms=terms,
                predicted=predicted,
                features=features,
                labeled=campaign.labelled_after(n_answers).rows(),
            )

        # Features that a function has made would stay in memory until the reasons are read.
        return Reasons(make if features is self._features.given else make())


def _checked_strategy(strategy: Strategy | None, base: Recipe) -> Recipe | Pick:
    """Give the recipe of a name, or the function."""
    if strategy is None:
        return base
    return named_recipe(strategy, base) if not callable(strategy) else strategy
