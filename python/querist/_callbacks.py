"""Hooks: an object whose methods are called before and after each step of a campaign."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

STEPS = ("before_ask", "after_ask", "before_tell", "after_tell", "after_fit", "after_round")


class Callbacks:
    """Some objects, each with any of the methods named in `STEPS`, called in the order given."""

    def __init__(self, given: Iterable[Any]) -> None:
        if not isinstance(given, Iterable):
            msg = f"callbacks: expected a sequence of objects, got {type(given).__name__}"
            raise TypeError(msg)
        self._given: Sequence[Any] = tuple(given)
        for at, callback in enumerate(self._given):
            is_class = isinstance(callback, type)  # whose methods want an instance first
            if is_class or not any(callable(getattr(callback, step, None)) for step in STEPS):
                msg = (
                    f"callbacks[{at}]: expected an object with any of the methods {STEPS}, "
                    f"got {f'the class {callback.__name__}' if is_class else type(callback).__name__}"
                )
                raise TypeError(msg)

    def __call__(self, step: str, *arguments: Any) -> None:
        for method in self.of(step):
            method(*arguments)

    def of(self, step: str) -> list[Callable[..., None]]:
        """Give the methods of a step, in the order given."""
        methods = (getattr(callback, step, None) for callback in self._given)
        return [method for method in methods if method is not None]
