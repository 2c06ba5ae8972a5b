"""What a model answers, fitted or not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def answer(question: Callable[..., Any], X: Any, options: dict[str, Any]) -> Any:
    """Give what a model answers, or None if it is not fitted."""
    try:
        return question(X, **options)
    except Exception as error:
        # Who raises scikit-learn's error has loaded it; querist need not.
        sklearn = sys.modules.get("sklearn.exceptions")
        if sklearn is None or not isinstance(error, sklearn.NotFittedError):
            raise
        return None
