"""When the model of a campaign is fitted, and on what."""

from __future__ import annotations

from collections.abc import Mapping

from querist._arguments import positive
from querist._campaign import Campaign
from querist._labelled import Labelled
from querist._model import CheckedModel
from querist._pool import Pool
from querist._protocols import Retrain


class Training:
    """A model and the rows it is fitted on."""

    def __init__(self, model: CheckedModel, pool: Pool, retrain: Retrain | None) -> None:
        self._model, self._pool = model, pool
        self.retrain = _checked(retrain)

    def is_cold(self, campaign: Campaign) -> bool:
        """Tell whether there is too little to fit on."""
        return self._model.is_cold(campaign.labelled)

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
            rows, labels = labelled.arrays()
            self._model.fit(self._pool.take(rows), labels)


def _checked(retrain: Retrain | None) -> Retrain:
    if retrain is None:
        return {}
    if not isinstance(retrain, Mapping) or not retrain or not set(retrain) <= {"rounds", "labels"}:
        raise ValueError(f'retrain: expected {{"rounds": r}}, {{"labels": m}} or both, got {retrain!r}')
    return {what: positive(enough, f"retrain[{what!r}]") for what, enough in retrain.items()}
