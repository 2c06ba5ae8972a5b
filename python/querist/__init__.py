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

from querist import select, stop
from querist._config import get_num_threads, set_num_threads, show_config
from querist._core import __version__
from querist._learner import ABSTAIN, ActiveLearner, Batch, PoolExhausted, Round
from querist._picks import Picks
from querist._scores import entropy, gini, least_confidence, margin, scores, top_scores

__all__ = [
    "ABSTAIN",
    "ActiveLearner",
    "Batch",
    "Picks",
    "PoolExhausted",
    "Round",
    "__version__",
    "entropy",
    "get_num_threads",
    "gini",
    "least_confidence",
    "margin",
    "scores",
    "select",
    "set_num_threads",
    "show_config",
    "stop",
    "top_scores",
]
