"""When the model of a campaign is fitted, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from querist._arguments import positive
from querist._campaign import Campaign
from querist._labelled import Labelled
from querist._model import CheckedModel
from querist._pool import Pool
from querist._protocols import Retrain, WarmAt


class Training:
    """A model and the rows it is fitted on."""

    def __init__(
        self, model: CheckedModel, pool: Pool, *, retrain: Retrain | None, warm_at: WarmAt | None
    ) -> None:
        self._model, self._pool = model, pool
        self.retrain: Retrain = _checked(retrain, "retrain", {"rounds": "r", "labels": "m"})
        self.warm_at: WarmAt = _checked(warm_at, "warm_at", {"labels": "m", "per_class": "r"})
        self._least, self._per_class = self.warm_at.get("labels", 1), self.warm_at.get("per_class", 1)
        if self._least > max(1, len(pool)):
            raise ValueError(
                f"warm_at['labels']: expected at most the {len(pool)} rows of the pool, got {self._least}"
            )
        if model.regresses and "per_class" in self.warm_at:
            raise TypeError(
                f"warm_at['per_class']: expected a classifier, got {model.name}; pass {{\"labels\": m}} alone"
            )

    def is_cold(self, campaign: Campaign) -> bool:
        """Tell whether there is too little to fit on."""
        labelled = campaign.labelled
        if not self._model.trainable:
            return False
        if self._model.is_cold(labelled) or len(labelled.by_row) < self._least:
            return True
        if self._per_class == 1:
            return False
        return sum(size >= self._per_class for size in labelled.sizes().values()) < 2

    def is_due(self, campaign: Campaign) -> bool:
        """Tell whether enough is new for another fit."""
        fitted = campaign.fitted
        if fitted is None or not self.retrain:
            return True
        new = {
            "rounds": len(campaign.history) - fitted.rounds,
            "labels": campaign.changes - fitted.changes,
        }
        return any(new[what] >= enough for what, enough in self.retrain.items())

    def fit(self, labelled: Labelled) -> None:
        """Fit the model on these labels."""
        if self._model.trainable:
            rows, labels = labelled.arrays(self._per_class)
            try:
                self._model.fit(self._pool.take(rows), labels)
            except Exception as error:
                more = '"labels": m' if self._model.regresses else '"labels": m, "per_class": r'
                error.add_note(
                    "warm_at: if the model needs more labels than these, "
                    f"ActiveLearner(..., warm_at={{{more}}}) makes the cold start longer"
                )
                raise


def _checked(given: Any, name: str, keys: Mapping[str, str]) -> dict[Any, int]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not given or not set(given) <= set(keys):
        one, other = (f'{{"{key}": {letter}}}' for key, letter in keys.items())
        raise ValueError(f"{name}: expected {one}, {other} or both, got {given!r}")
    return {what: positive(enough, f"{name}[{what!r}]") for what, enough in given.items()}
