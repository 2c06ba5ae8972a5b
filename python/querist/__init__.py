"""The acquisition scorer for active learning.

Which unlabelled items are worth a person's time? querist scores a pool of model outputs and picks the next
batch, on all the cores of a CPU, from numpy arrays in place. Every score is larger where the item should be
asked first.

>>> import numpy as np
>>> import querist as qr
>>> proba = np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
>>> qr.entropy(proba)
array([0.69314718, 0.32508297, 0.        ])
>>> qr.top_scores(proba, 2, score="margin").indices
array([0, 1])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from querist import select
from querist._change import expected_gradient_length, variance_reduction
from querist._committee import (
    bald,
    committee_scores,
    consensus_entropy,
    consensus_least_confidence,
    consensus_margin,
    max_disagreement,
)
from querist._config import get_num_threads, set_num_threads, show_config
from querist._core import __version__
from querist._density import density_weighted, information_density, knn_density
from querist._picks import Picks
from querist._scores import entropy, gini, least_confidence, margin, scores, top_scores
from querist._votes import ensemble_variance, variation_ratio, vote_entropy, votes

if TYPE_CHECKING:
    from querist import oracle, stop
    from querist._balance import Balance, ClassStarvedWarning
    from querist._context import Context
    from querist._learner import ABSTAIN, ActiveLearner, Answer, Batch, PoolExhausted, Round
    from querist._rounds import JournalError
    from querist._simulate import simulate
    from querist._simulation import Simulation

# The loop is loaded when it is first used: a service that only scores does not wait for it.
_LOOP = {
    "ABSTAIN": "_rounds",
    "ActiveLearner": "_learner",
    "Answer": "_rounds",
    "Balance": "_balance",
    "Batch": "_rounds",
    "ClassStarvedWarning": "_balance",
    "Context": "_context",
    "JournalError": "_rounds",
    "PoolExhausted": "_rounds",
    "Round": "_rounds",
    "Simulation": "_simulation",
    "oracle": "oracle",
    "simulate": "_simulate",
    "stop": "stop",
}


def __getattr__(name: str) -> Any:
    if name not in _LOOP:
        msg = f"module 'querist' has no attribute {name!r}"
        raise AttributeError(msg)
    module = import_module(f"querist.{_LOOP[name]}")
    value = module if name == _LOOP[name] else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "ABSTAIN",
    "ActiveLearner",
    "Answer",
    "Balance",
    "Batch",
    "ClassStarvedWarning",
    "Context",
    "JournalError",
    "Picks",
    "PoolExhausted",
    "Round",
    "Simulation",
    "__version__",
    "bald",
    "committee_scores",
    "consensus_entropy",
    "consensus_least_confidence",
    "consensus_margin",
    "density_weighted",
    "ensemble_variance",
    "entropy",
    "expected_gradient_length",
    "get_num_threads",
    "gini",
    "information_density",
    "knn_density",
    "least_confidence",
    "margin",
    "max_disagreement",
    "oracle",
    "scores",
    "select",
    "set_num_threads",
    "show_config",
    "simulate",
    "stop",
    "top_scores",
    "variance_reduction",
    "variation_ratio",
    "vote_entropy",
    "votes",
]
