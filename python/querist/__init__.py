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

from querist import oracle, select, stop
from querist._balance import Balance, ClassStarvedWarning
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
from querist._context import Context
from querist._core import __version__
from querist._density import density_weighted, information_density, knn_density
from querist._learner import ABSTAIN, ActiveLearner, Answer, Batch, PoolExhausted, Round
from querist._picks import Picks
from querist._rounds import JournalError
from querist._scores import entropy, gini, least_confidence, margin, scores, top_scores
from querist._simulate import simulate
from querist._simulation import Simulation
from querist._votes import ensemble_variance, variation_ratio, vote_entropy, votes

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
