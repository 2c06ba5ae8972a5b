"""Events as JSON text and back: each label keeps its type, each number its bits."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from querist._events import Asked, Event, Fitted, Grown, Released, Seen, Told
from querist._protocols import Label
from querist._reasons import LABELS, Reason, Reasons
from querist._rounds import ABSTAIN, Batch

KINDS = {Asked: "asked", Told: "told", Released: "released", Fitted: "fitted", Grown: "grown"}


def label_value(label: Label, name: str) -> Any:
    """Give a label as what JSON can hold: ABSTAIN is null, a tuple is a list.

    Raises
    ------
    TypeError
        If it is not an int, float, str or bool, or a tuple of those.
    """
    return None if label is ABSTAIN else _value(label, name)


def label_of(value: Any) -> Label:
    """Give the label that `label_value` made this of."""
    return ABSTAIN if value is None else _label(value)


def event_text(event: Event) -> tuple[str, str]:
    """Give the kind of the event and the rest of it as JSON."""
    return KINDS[type(event)], json.dumps(_body(event), separators=(",", ":"), allow_nan=False)


def event_of(time: float, kind: str, text: str) -> Event:
    """Give the event that `event_text` made this of."""
    body = json.loads(text)
    match kind:
        case "asked":
            return _asked(time, body)
        case "told":
            answers = {index: label_of(value) for index, value in body["answers"]}
            return Told(time, answers, _annotator(body), body["ticket"])
        case "released":
            return Released(time, body["ticket"])
        case "fitted":
            metrics = {name: float(value) for name, value in body["metrics"].items()}
            seen = body.get("seen")
            return Fitted(time, body["seconds"], metrics, None if seen is None else Seen(*map(int, seen)))
        case "grown":
            return Grown(time, int(body["n"]), dict(body["settings"]))
    raise ValueError(f"there is no event {kind!r}")


def _body(event: Event) -> dict[str, Any]:
    match event:
        case Asked():
            batch = event.batch
            return {
                "number": event.number,
                "ticket": batch.ticket,
                "annotator": None if batch.annotator is None else _value(batch.annotator, "annotator"),
                "indices": batch.indices.tolist(),
                "scores": [_number(score) for score in batch.scores.tolist()],
                "dtype": batch.scores.dtype.str,
                "expires": event.expires,
                "score_seconds": event.score_seconds,
                "uncertainty": _number(event.uncertainty),
                "predicted_shares": [
                    [label_value(label, "class"), share] for label, share in event.predicted_shares.items()
                ],
                "reasons": [_reason(reason) for reason in batch.reasons],
            }
        case Told():
            return {
                "answers": [
                    [index, label_value(label, f"labels: of index {index}")]
                    for index, label in event.answers.items()
                ],
                "annotator": None if event.annotator is None else _value(event.annotator, "annotator"),
                "ticket": event.ticket,
            }
        case Released():
            return {"ticket": event.ticket}
        case Fitted():
            metrics = {name: _number(float(value)) for name, value in event.metrics.items()}
            return {"seconds": event.seconds, "metrics": metrics, "seen": event.seen}
        case Grown():
            return {"n": event.n, "settings": event.settings}


def _asked(time: float, body: dict[str, Any]) -> Asked:
    batch = Batch(
        np.array(body["indices"], np.int64),
        np.array([float(score) for score in body["scores"]], np.dtype(body["dtype"])),
        body["ticket"],
        annotator=_annotator(body),
        why=Reasons(tuple(map(_reason_of, body["reasons"]))),
    )
    return Asked(
        time=time,
        number=body["number"],
        batch=batch,
        expires=body["expires"],
        score_seconds=body["score_seconds"],
        uncertainty=float(body["uncertainty"]),
        predicted_shares={label_of(value): share for value, share in body["predicted_shares"]},
        predictions=None,
    )


def _reason(reason: Reason) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in reason.items():
        if name in LABELS:
            values[name] = label_value(value, "class")
        else:
            values[name] = _number(value) if isinstance(value, float) else value
    return values


def _reason_of(values: dict[str, Any]) -> Reason:
    as_they_are = {"rank", "picked_by"}
    return {
        name: label_of(value) if name in LABELS else value if name in as_they_are else float(value)
        for name, value in values.items()
    }


def _annotator(body: dict[str, Any]) -> Label | None:
    return None if body["annotator"] is None else _label(body["annotator"])


def _number(value: float) -> float | str:
    """Give a number, or the word for one that JSON does not have."""
    return value if math.isfinite(value) else str(value)


def _value(label: Any, name: str) -> Any:
    # Exact types: what comes back is what was told, and an enum's member would not be.
    if type(label) in (bool, int, str) or (type(label) is float and math.isfinite(label)):
        return label
    if type(label) is float and not math.isnan(label):
        return {"float": str(label)}
    if type(label) is tuple:
        return [_value(part, name) for part in label]
    raise TypeError(
        f"{name}: a journal keeps int, float, str, bool and tuples of these, got {label!r}; pass it as text"
    )


def _label(value: Any) -> Label:
    if isinstance(value, list):
        return tuple(_label(part) for part in value)
    if isinstance(value, dict):
        return float(value["float"])
    if value is None:
        raise ValueError("a label is missing")
    return value  # type: ignore[no-any-return]
