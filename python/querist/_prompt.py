"""A person at a terminal, asked about one item at a time."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from querist._answers import composed, plain_labels
from querist._protocols import Label
from querist._rounds import ABSTAIN


class _Command(enum.Enum):
    SKIP = "s"
    UNDO = "u"
    QUIT = "q"


class Prompt:
    """Ask a person at the terminal: an item, the classes with a key for each, then Enter.

    `s` skips the item (`querist.ABSTAIN`), `u` goes back to the one before, `q` or the end of input (Ctrl-D)
    ends the run. An answer is given away when the next one is there: until then `u` can take it back. `q`,
    Ctrl-C and an error of `show` give it away first, so that nothing answered is ever asked again.

    Parameters
    ----------
    classes : labels, or mapping of key to label
        What there is to choose from. Labels of one or two characters are their own keys; otherwise the keys
        are 1, 2, 3 and so on. A mapping brings its keys.
    show : callable, optional
        From an index to what is printed of the item; by default its row of the pool.

    Raises
    ------
    TypeError
        If the classes are a text, or nothing to go over.
    ValueError
        If there are no classes, one is None or NaN, or a key cannot be typed or is `s`, `u` or `q`.

    Notes
    -----
    A call gives an iterator of (index, answer), which `ActiveLearner.run` tells one by one; `q` ends it
    early.
    Without `run`: ``for index, label in prompt(batch.indices, rows): learner.tell([index], [label])``.
    It reads by `input` and writes by `print`, so any terminal will do.

    Examples
    --------
    >>> import querist as qr
    >>> prompt = qr.oracle.Prompt(["cat", "dog"], show=lambda index: f"picture {index}.png")
    >>> for index, answer in prompt([17, 4], [None, None]):  # doctest: +SKIP
    ...     print(index, answer)
    picture 17.png
    [1/2]  1 cat  2 dog  s skip  u undo  q quit > 2
    picture 4.png
    [2/2]  1 cat  2 dog  s skip  u undo  q quit > s
    17 dog
    4 abstain
    """

    def __init__(
        self,
        classes: Iterable[Label] | Mapping[str, Label],
        *,
        show: Callable[[int], object] | None = None,
    ) -> None:
        self._meaning: dict[str, Label] = {
            **_keys(classes),
            **{command.value: command for command in _Command},
        }
        self._choices = "  ".join(_choice(key, meaning) for key, meaning in self._meaning.items())
        self._show = show

    def __call__(self, indices: Sequence[int] | NDArray[np.int64], rows: Any) -> Iterator[tuple[int, Label]]:
        """Ask about each index, and give each answer as soon as it stands."""
        rows = getattr(rows, "iloc", rows)  # pandas, whose plain brackets look for columns
        last: list[tuple[int, Label]] = []  # the last answer, while it can be taken back
        at, n = 0, len(indices)
        try:
            while at < n:
                index = int(indices[at])
                print(self._show(index) if self._show else rows[at])
                answer = self._answer(f"[{at + 1}/{n}]  {self._choices} > ")
                if answer is _Command.QUIT:
                    break
                if answer is _Command.UNDO and last:
                    last = []
                    at -= 1
                elif answer is _Command.UNDO:
                    print("there is no answer to take back")
                else:
                    # An interrupt right here would give one away twice, which does no harm.
                    yield from last
                    last = [(index, ABSTAIN if answer is _Command.SKIP else answer)]
                    at += 1
        except (Exception, KeyboardInterrupt):
            yield from last
            raise
        yield from last

    def _answer(self, question: str) -> Label:
        while True:
            try:
                typed = composed(input(question))
            except EOFError:
                print()
                return _Command.QUIT
            if typed in self._meaning:
                return self._meaning[typed]
            print(f"expected one of the keys, got {typed!r}")


def _keys(classes: Iterable[Label] | Mapping[str, Label]) -> dict[str, Label]:
    commands = {command.value for command in _Command}
    if isinstance(classes, str | bytes) or not isinstance(classes, Iterable):
        raise TypeError(f"classes: expected labels, or a mapping of key to label, got {classes!r}")
    given = list(classes.values()) if isinstance(classes, Mapping) else list(classes)
    listed = plain_labels(given, "classes", each="key")
    if not listed:
        raise ValueError("classes: expected at least one, got none")
    if isinstance(classes, Mapping):
        for key in classes:
            if not isinstance(key, str) or not key or key != key.strip() or key in commands:
                raise ValueError(f"classes: expected a key to type that is not s, u or q, got {key!r}")
        keys = [composed(key) for key in classes]
        if len(set(keys)) < len(keys):
            raise ValueError(f"classes: expected keys that differ as they are typed, got {list(classes)}")
        return dict(zip(keys, listed, strict=True))
    own = {composed(str(label)): label for label in listed}
    can_be_typed = all(0 < len(text) <= 2 and text.isprintable() for text in own)
    if len(own) == len(listed) and can_be_typed and not own.keys() & commands:
        return own
    return {str(number): label for number, label in enumerate(listed, 1)}


def _choice(key: str, meaning: Label) -> str:
    if isinstance(meaning, _Command):
        return f"{key} {meaning.name.lower()}"
    return key if key == str(meaning) else f"{key} {meaning}"
