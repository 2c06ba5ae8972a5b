"""A model as the learner sees it: perhaps fitted, and asked for probabilities of checked shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from querist._arrays import as_array
from querist._protocols import Classifier, Model, Validation


def check_validation(validation: Validation | None) -> None:
    """Raise unless `validation` is None, a function or a pair."""
    if not (validation is None or callable(validation) or len(validation) == 2):
        raise ValueError(
            f"validation: expected (X, y) or a function of the model, got {len(validation)} items"
        )


class CheckedModel:
    """A `Classifier`, or a function from X to probabilities, behind one face.

    Errors name the model and what it returned: it is the caller's, and its mistakes would
    surface far from its code.
    """

    def __init__(self, model: Model) -> None:
        kind = type(model).__name__
        if isinstance(model, type):
            raise TypeError(f"model: expected an instance, got the class {model.__name__}")
        self.model = model
        self.trainable = hasattr(model, "fit") and hasattr(model, "predict_proba")
        if self.trainable:
            self._name = f"{kind}.predict_proba"
        elif callable(model):
            self._name = getattr(model, "__name__", kind)
        else:
            raise TypeError(
                "model: expected an object with fit and predict_proba, or a function from X to "
                f"(n, c) probabilities, got {kind}"
            )
        self._classes: NDArray[Any] | None = None

    def fit(self, X: Any, y: NDArray[Any]) -> None:
        """Fit a trainable model, in place; a function stays as it is."""
        if not self.trainable:
            return
        cast(Classifier, self.model).fit(X, y)
        self._classes = np.asarray(getattr(self.model, "classes_", np.unique(y)))

    def proba(self, X: Any, n: int) -> Any:
        """Give the (n, c) probabilities of the n rows of `X`, as the model returned them."""
        if self.trainable:
            proba = cast(Classifier, self.model).predict_proba(X)
        else:
            proba = cast(Callable[[Any], Any], self.model)(X)
        try:
            shape = tuple(np.shape(proba))
        except ValueError as error:
            raise ValueError(
                f"{self._name}: expected an array of shape ({n}, c), got rows of different lengths"
            ) from error
        if len(shape) != 2 or shape[0] != n or shape[1] < 2:
            raise ValueError(
                f"{self._name}: expected an array of shape ({n}, c), for each row of X the "
                f"probabilities of c >= 2 classes, got {type(proba).__name__} of shape {shape}"
            )
        return proba

    def metrics(self, validation: Validation) -> Mapping[str, float]:
        """Give what `validation` measures: its own metrics, or the accuracy on its rows."""
        if not callable(validation):
            return {"accuracy": self._accuracy(*validation)}
        metrics = validation(self.model)
        if not isinstance(metrics, Mapping):
            kind = type(metrics).__name__
            raise TypeError(f"validation: expected it to return a dict of metrics, got {kind}")
        return metrics

    def _accuracy(self, X: Any, y: Any) -> float:
        truth = np.asarray(y)
        proba = as_array(self.proba(X, len(truth)), "proba")
        c = proba.shape[1]
        # A function has no classes: its columns are taken for the labels 0, 1, 2, ...
        classes = np.arange(c) if self._classes is None else self._classes
        if len(classes) != c:
            raise ValueError(
                f"{self._name}: expected {len(classes)} columns, one for each class that it was "
                f"fitted on, got {c}"
            )
        return float(np.mean(classes[proba.argmax(axis=1)] == truth))
