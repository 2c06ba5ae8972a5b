"""A model as the learner sees it: perhaps fitted, and asked for numbers of checked shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from querist._arrays import as_array
from querist._labelled import Labelled, label_array
from querist._pool import row_count
from querist._protocols import Model, Validation
from querist._votes import ensemble_variance

_VOTES_ONLY = 'without predict_proba has the scores "vote_entropy" and "variation_ratio" only'
_VARIANCE_NEEDS = (
    "needs a regressor that takes return_std=True, a forest, or several regressors: wrap it in "
    'sklearn.ensemble.BaggingRegressor or pass a list of some, with score="variance"'
)

KINDS = {"U": "text", "S": "bytes", "O": "objects"}  # of labels in an array; all others are numbers


def checked_validation(validation: Validation | None) -> Validation | None:
    """Give None, the function, or the pair with its labels as an array; or raise if it is none of these."""
    if validation is None or callable(validation):
        return validation
    if not (isinstance(validation, Sequence) and len(validation) == 2):
        got = f"{len(validation)} items" if isinstance(validation, Sequence) else type(validation).__name__
        raise ValueError(f"validation: expected (X, y) or a function of the model, got {got}")
    X, y = validation
    n, n_labels = map(row_count, validation)
    if n != n_labels:
        raise ValueError(f"validation: expected one label for each of its {n} rows, got {n_labels}")
    labels = label_array(y)
    if labels.ndim != 1:
        raise ValueError(
            f"validation: expected labels of shape ({n},), got shape {labels.shape}; pass one column of them"
        )
    return X, labels


def checked_model(model: Model) -> CheckedModel:
    """Give one model, or a list of them, behind one face."""
    return Committee(model) if isinstance(model, list | tuple) else CheckedModel(model, "")


class CheckedModel:
    """A classifier, a regressor, or a function from X to probabilities.

    Errors name the model and what it returned: it is the caller's, and its mistakes would
    surface far from its code.
    """

    def __init__(self, model: Any, prefix: str) -> None:
        kind = type(model).__name__
        if isinstance(model, type):
            raise TypeError(f"{prefix}model: expected an instance, got the class {model.__name__}")
        self.model = model
        # A stack has its methods only when it is fitted, but its class has them.
        methods = model if hasattr(model, "predict") or not hasattr(model, "fit") else type(model)
        gives_proba = hasattr(model, "predict_proba") or hasattr(methods, "predict_proba")
        self.classifies = hasattr(model, "fit") and gives_proba
        # What is called gives probabilities, also if it has fit and predict, as nets do.
        is_called = hasattr(model, "fit") and callable(model) and not gives_proba
        predicts = hasattr(model, "fit") and hasattr(methods, "predict") and not (gives_proba or is_called)
        self.only_decides = predicts and _is_classifier(model)  # such as LinearSVC
        self.regresses = predicts and not self.only_decides
        self.trainable = self.classifies or predicts or is_called
        if self.classifies or predicts:
            self.name = f"{prefix}{kind}.predict{'_proba' if self.classifies else ''}"
        elif callable(model):
            self.name = prefix + getattr(model, "__name__", kind)
        else:
            raise TypeError(
                f"{prefix}model: expected an object with fit and predict_proba, a regressor with fit and "
                f"predict, or a function from X to (n, c) probabilities, got {kind}"
            )
        self.classes: NDArray[Any] | None = None  # of the columns

    def is_cold(self, labelled: Labelled) -> bool:
        """Tell whether there is too little to fit: less than two classes, or two numbers."""
        return len(labelled.by_row) < 2 if self.regresses else not labelled.differ()

    def fit(self, X: Any, y: NDArray[Any]) -> None:
        """Fit a trainable model, in place; a function stays as it is.

        What is called has as many columns as it was built with, whatever the labels: without `classes_` they
        are 0, 1, 2 and so on, as those of a function.
        """
        if self.trainable:
            try:
                self.model.fit(X, y)
            except Exception as error:
                kinds = sorted({type(label).__name__ for label in y.tolist()})
                error.add_note(f"{self.name}: fitted on {len(y)} labels of the kinds {kinds}")
                raise
            if hasattr(self.model, "classes_"):
                self.classes = label_array(self.model.classes_)
            elif self.classifies or self.only_decides:
                self.classes = np.unique(y)

    def proba(self, X: Any, n: int, *, least: int = 2) -> Any:
        """Give the (n, c) probabilities of the n rows of `X`, or (m, n, c) if it has members."""
        self.check_proba()
        return self.ballots(X, n, least=least)

    def ballots(self, X: Any, n: int, *, least: int = 2) -> Any:
        """Give what `proba` does; of a model that only decides, 1 for the class and 0 for the others."""
        if self.only_decides:
            return _votes_of(self.model, X, n, self.name, cast(Any, self.classes))
        proba = self.model.predict_proba(X) if self.classifies else self.model(X)
        proba = _checked(proba, n, self.name, members=True, least=least)
        if self.classes is not None and np.shape(proba)[-1] != len(self.classes):
            raise ValueError(
                f"{self.name}: expected {len(self.classes)} columns, one for each class that it was fitted "
                f"on, got {np.shape(proba)[-1]}"
            )
        return proba

    def members(self, X: Any, n: int, *, votes: bool = False) -> NDArray[Any]:
        """Give the (m, n, c) probabilities of the members of an ensemble, columns as in `classes`.

        With `votes`, members that only decide have their `ballots` instead.
        """
        ensemble = [] if self.regresses else self._ensemble(X, _gives_votes)
        if not (votes or all(_gives_proba(member) for member, _ in ensemble)):
            raise TypeError(f"{self.name}: an ensemble of members {_VOTES_ONLY}")
        if not ensemble:
            if self.only_decides:
                raise TypeError(self._no_members())
            proba = as_array(self.proba(X, n), self.name)
            if proba.ndim == 2 and self.classifies:
                raise TypeError(self._no_members())
            if proba.ndim == 2:
                raise ValueError(
                    f"{self.name}: expected an array of shape (m, {n}, c) for a score of a committee, "
                    f"got shape {proba.shape}"
                )
            return proba
        classes = cast(Any, self.classes).tolist()
        places = self._places([member for member, _ in ensemble], classes)
        parts = []
        for at, (member, rows) in enumerate(ensemble):
            name = f"{self.name}: member {at}"
            if _gives_proba(member):
                part = as_array(_checked(member.predict_proba(rows), n, name, members=False, least=1), name)
            else:
                part = _votes_of(member, rows, n, name, label_array(member.classes_))
            parts.append(aligned(part, places[at], len(classes), name))
        return np.stack(parts)

    def check_proba(self) -> None:
        """Raise if this has no probabilities."""
        if self.only_decides:
            raise TypeError(
                f"{self.name}: a classifier {_VOTES_ONLY}, in a list of several; for others wrap it in "
                "sklearn.calibration.CalibratedClassifierCV, whose folds need a few labels of each class: "
                'warm_at={"per_class": 3} waits for them'
            )
        if self.regresses:
            advice = '; pass score="variance"' if self._may_have_variance() else f", which {_VARIANCE_NEEDS}"
            raise TypeError(
                f'{self.name}: a model without predict_proba has the score "variance" only{advice}'
            )

    def check_votes(self) -> None:
        """Raise if this is a regressor, which does not vote."""
        if not self.only_decides:
            self.check_proba()

    def check_members(self) -> None:
        """Raise if this is known never to have members; what a function gives is known when it is called."""
        if (self.classifies or self.only_decides) and not _may_have_members(_last_step(self.model)):
            raise TypeError(self._no_members())

    def check_variance(self) -> None:
        """Raise if this is known never to have a variance."""
        if not self.regresses:
            raise TypeError(f'{self.name}: the score "variance" is for regressors, with fit and predict')
        if not self._may_have_variance():
            raise TypeError(f'{self.name}: the score "variance" {_VARIANCE_NEEDS}')

    def variance(self, X: Any, n: int) -> NDArray[Any]:
        """Give the (n,) predictive variances of a regressor, or those between the members of an ensemble."""
        self.check_variance()
        if ensemble := self._ensemble(X, _gives_values):
            values = [
                _column(member.predict(rows), n, f"{self.name}: member {at}")
                for at, (member, rows) in enumerate(ensemble)
            ]
            return ensemble_variance(np.stack(values), member_axis=0)
        try:
            _, deviation = self.model.predict(X, return_std=True)
        except TypeError as error:
            raise TypeError(f'{self.name}: the score "variance" {_VARIANCE_NEEDS}: {error}') from error
        return _column(deviation, n, f"{self.name}(return_std=True)") ** 2

    def values(self, X: Any, n: int) -> NDArray[Any]:
        """Give what a regressor predicts, (n,)."""
        return _column(self.model.predict(X), n, self.name)

    def metrics(self, validation: Validation) -> Mapping[str, float]:
        """Give what `validation` measures: its own metrics; or on its rows the accuracy, of numbers R²."""
        if not callable(validation):
            X, y = validation
            if not self.regresses:
                return {"accuracy": self._accuracy(X, y)}
            values = self.values(X, len(y))
            _check_kind(y, values)
            return {"r2": _r2(y.astype(np.float64), values)}
        metrics = validation(self.model)
        if not isinstance(metrics, Mapping):
            kind = type(metrics).__name__
            raise TypeError(f"validation: expected it to return a dict of metrics, got {kind}")
        return {name: _metric(name, value) for name, value in metrics.items()}

    def _accuracy(self, X: Any, truth: NDArray[Any]) -> float:
        proba = consensus(as_array(self.ballots(X, len(truth)), self.name))
        # What is called may have no classes: its columns are taken for the labels 0, 1, 2, ...
        classes = np.arange(proba.shape[1]) if self.classes is None else self.classes
        _check_kind(truth, classes)
        return float(np.mean(classes[proba.argmax(axis=1)] == truth))

    def _ensemble(self, X: Any, serves: Callable[[Any], bool]) -> list[tuple[Any, Any]]:
        """Give the fitted members of a forest or of bagging, and what each sees of `X`.

        Either may be the last step of a pipeline. Nothing, unless each member serves.
        """
        last = _last_step(self.model)
        members = getattr(last, "estimators_", None)
        if not (members is not None and _may_have_members(last) and all(map(serves, members))):
            return []
        rows = _before_last_step(self.model, X)
        # Most members are fitted on bare arrays, also where the ensemble is fitted on a data frame.
        bare = np.asarray(rows) if hasattr(rows, "columns") else rows
        columns = getattr(last, "estimators_features_", None)
        if columns is None:
            named = [hasattr(member, "feature_names_in_") for member in members]
            return [(member, rows if name else bare) for member, name in zip(members, named, strict=True)]
        return [(member, bare[:, seen]) for member, seen in zip(members, columns, strict=True)]

    def _places(self, members: Sequence[Any], classes: list[Any]) -> list[NDArray[np.int64]]:
        """Give for each member where its own classes are among those of the ensemble."""
        numbers = range(len(classes))
        seen = [label_array(getattr(member, "classes_", numbers)).tolist() for member in members]
        # Most ensembles number the classes for their members, but boosting gives them as they are.
        for known in (dict(zip(numbers, numbers, strict=True)), dict(zip(classes, numbers, strict=True))):
            if all(label in known for labels in seen for label in labels):
                return [np.array([known[label] for label in labels], np.int64) for labels in seen]
        raise TypeError(f"{self._no_members()}, whose members tell other classes apart: {seen[0]}")

    def _no_members(self) -> str:
        got = type(_last_step(self.model)).__name__
        return (
            f"{self.name}: a score of a committee needs a list of models, (m, n, c) probabilities of m "
            "members from predict_proba or from a function of X in its place, or a forest or a bagging "
            f"ensemble in which each member tells all classes apart, got {got}"
        )

    def _may_have_variance(self) -> bool:
        last = _last_step(self.model)
        return _may_have_members(last) or _may_take(last.predict, "return_std")


def _is_classifier(model: Any) -> bool:
    """Tell whether scikit-learn takes it for one, though it has no probabilities."""
    try:
        return bool(model.__sklearn_tags__().estimator_type == "classifier")
    except AttributeError:  # none of scikit-learn's, or one of its kind without its BaseEstimator
        return any(base.__name__ == "ClassifierMixin" for base in type(model).__mro__)


def _gives_proba(model: Any) -> bool:
    return hasattr(model, "predict_proba")


def _gives_values(model: Any) -> bool:
    return hasattr(model, "predict")


def _gives_votes(model: Any) -> bool:
    return _gives_proba(model) or (hasattr(model, "classes_") and _is_classifier(model))


def _votes_of(model: Any, X: Any, n: int, name: str, classes: NDArray[Any]) -> NDArray[np.float64]:
    """Give a row of 1 for the class that the model predicts and 0 for the others."""
    decided = label_array(model.predict(X))
    if decided.size != n:
        raise ValueError(f"{name}: expected a label for each of {n} rows, got shape {decided.shape}")
    votes = np.asarray(decided.reshape(n, 1) == classes)
    if not (known := votes.any(axis=1)).all():
        label = decided.reshape(n)[known.argmin()]
        raise ValueError(f"{name}: expected one of its classes {classes.tolist()}, got {label!r}")
    return votes.astype(np.float64)


def _r2(truth: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Give the share of the variance that is explained; of truth without any, 1 for no error and else 0."""
    error, spread = ((truth - values) ** 2).sum(), ((truth - truth.mean()) ** 2).sum()
    return float(1 - error / spread) if spread else float(error == 0)


def _may_have_members(model: Any) -> bool:
    """Tell whether a fit may bring a committee: of scikit-learn's own models their parameters tell."""
    # One against the rest, or against one other: each member tells two groups of classes apart. Each tree of
    # gradient boosting corrects those before it.
    others = ("sklearn.multiclass", "sklearn.ensemble._gb")
    if any(base.__module__ in others for base in type(model).__mro__):
        return False
    if hasattr(model, "estimators_") or type(model).__module__.partition(".")[0] != "sklearn":
        return True
    return any("estimator" in name for name in model.get_params(deep=False))


def _last_step(model: Any) -> Any:
    """Give the last step of a pipeline, or of one within; of anything else the model itself."""
    while hasattr(model, "named_steps"):
        model = model.steps[-1][1]
    return model


def _before_last_step(model: Any, X: Any) -> Any:
    """Give the rows as the last step of a pipeline sees them."""
    while hasattr(model, "named_steps"):
        X = model[:-1].transform(X) if len(model.steps) > 1 else X
        model = model.steps[-1][1]
    return X


def _may_take(function: Callable[..., Any], keyword: str) -> bool:
    parameters = signature(function).parameters
    return keyword in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())


class Committee(CheckedModel):
    """A list of models: each is fitted on all labels, and they are asked together."""

    def __init__(self, models: Sequence[Any]) -> None:
        self._members = [CheckedModel(model, f"model[{at}]: ") for at, model in enumerate(models)]
        if not self._members:
            raise ValueError("model: expected at least one model in the list, got none")
        if len({member.regresses for member in self._members}) > 1:
            raise TypeError("model: expected classifiers or regressors in a list, got some of each")
        self.model = models
        self.name = "model"
        self.regresses = self._members[0].regresses
        self.only_decides = any(member.only_decides for member in self._members)
        self.classifies = not self.regresses
        self.trainable = any(member.trainable for member in self._members)
        self.classes = None

    def fit(self, X: Any, y: NDArray[Any]) -> None:
        """Fit those that can be, in place."""
        for member in self._members:
            member.fit(X, y)
        if self.regresses:
            return
        seen = [member.classes for member in self._members if member.classes is not None]
        self.classes = np.unique(np.concatenate(seen)) if seen else None

    def proba(self, X: Any, n: int, *, least: int = 2) -> NDArray[Any]:  # noqa: ARG002
        """Give the probabilities of all members, (m, n, c)."""
        return self.members(X, n)

    def members(self, X: Any, n: int, *, votes: bool = False) -> NDArray[Any]:
        """Give the (m, n, c) probabilities, or ballots."""
        if not votes:
            self.check_proba()
        return self.ballots(X, n)

    def ballots(self, X: Any, n: int, *, least: int = 2) -> NDArray[Any]:
        """Give those of all members, (m, n, c), with 0 for the classes that a member has not seen."""
        parts: list[NDArray[Any]] = []
        # A member may have seen one class alone, if the others have seen more.
        least = 1 if self.classes is not None and len(self.classes) > 1 else 2
        for member in self._members:
            part = as_array(member.ballots(X, n, least=least), member.name)
            if part.ndim != 2:
                raise ValueError(f"{member.name}: expected shape ({n}, c) of a member, got {part.shape}")
            if self.classes is None:
                c = parts[0].shape[1] if parts else part.shape[1]
                places = np.arange(c)
            else:
                c = len(self.classes)
                seen = self.classes if member.classes is None else member.classes
                places = np.searchsorted(self.classes, seen)
            parts.append(aligned(part, places, c, member.name))
        return np.stack(parts)

    def check_proba(self) -> None:
        """Raise if a member has no probabilities."""
        if self.regresses:
            self.check_members()
            raise TypeError('model: regressors have the score "variance" only; pass score="variance"')
        for member in self._members:
            member.check_proba()

    def check_votes(self) -> None:
        """Raise if the members are regressors."""
        for member in self._members:
            member.check_votes()

    def check_members(self) -> None:
        """Raise unless there are several."""
        if len(self._members) < 2:
            raise ValueError(
                f"model: expected several models in the list, as {self._members[0].name} alone agrees with "
                "itself; pass an ensemble without a list"
            )

    def check_variance(self) -> None:
        """Raise unless there are several regressors."""
        if not self.regresses:
            raise TypeError(f'{self._members[0].name}: the score "variance" is for regressors')
        self.check_members()

    def variance(self, X: Any, n: int) -> NDArray[Any]:
        """Give the (n,) variances between the predictions of the members."""
        self.check_variance()
        values = [member.values(X, n) for member in self._members]
        return ensemble_variance(np.stack(values), member_axis=0)

    def values(self, X: Any, n: int) -> NDArray[Any]:
        """Give the mean of what the members predict, (n,)."""
        return cast("NDArray[Any]", np.mean([member.values(X, n) for member in self._members], axis=0))


def consensus(proba: NDArray[Any]) -> NDArray[Any]:
    """Give the mean of the members, (n, c); one model agrees with itself."""
    return proba if proba.ndim == 2 else cast("NDArray[Any]", proba.mean(axis=0))


def aligned(proba: NDArray[Any], places: NDArray[np.int64], c: int, name: str) -> NDArray[Any]:
    """Put the columns at their places among c classes, with 0 in between."""
    if proba.shape[1] != len(places):
        raise ValueError(
            f"{name}: expected {len(places)} columns, one for each of its classes, got {proba.shape[1]}"
        )
    if np.array_equal(places, np.arange(c)):
        return proba
    whole = np.zeros((len(proba), c), proba.dtype)
    whole[:, places] = proba
    return whole


def _metric(name: Any, value: Any) -> float:
    """Give a metric as a float: NaN is one, for what is not defined."""
    try:
        if isinstance(name, str) and not isinstance(value, str | bytes) and np.ndim(value) == 0:
            return float(value)
    except (TypeError, ValueError):
        pass
    raise TypeError(f"validation: expected metrics of {{name: number}}, got {value!r} for {name!r}")


def _check_kind(labels: NDArray[Any], known: NDArray[Any]) -> None:
    """Raise where labels could never be equal to those that the model gives."""
    got, expected = (KINDS.get(array.dtype.kind, "numbers") for array in (labels, known))
    if got != expected:
        raise ValueError(
            f"validation: expected labels that are {expected}, as those of the model (the columns of a "
            f"function are 0, 1, 2 and so on), got {got}; pass such, or a function of the model that gives "
            "metrics"
        )


def _column(values: Any, n: int, name: str) -> NDArray[Any]:
    array = as_array(values, name)
    if array.shape != (n,):
        raise ValueError(f"{name}: expected an array of shape ({n},), got shape {array.shape}")
    return array.astype(np.float64, copy=False)


def _checked(proba: Any, n: int, name: str, *, members: bool, least: int) -> Any:
    try:
        shape = tuple(np.shape(proba))
    except ValueError as error:
        raise ValueError(
            f"{name}: expected an array of shape ({n}, c), got rows of different lengths"
        ) from error
    dimensions = (2, 3) if members else (2,)
    if len(shape) not in dimensions or shape[-2] != n or shape[-1] < least:
        or_more = f" (or (m, {n}, c))" if members else ""
        raise ValueError(
            f"{name}: expected an array of shape ({n}, c){or_more}, for each row of X the "
            f"probabilities of c >= {least} classes, got {type(proba).__name__} of shape {shape}"
        )
    return proba
