"""A drop-in for modAL 0.4: uncertainty, disagreement, density and ranked batches by its own names.

Swap the import and keep the loop::

    from modAL.models import ActiveLearner
    from querist.integrations.modal import margin_sampling  # was: from modAL.uncertainty import ...

    learner = ActiveLearner(estimator, query_strategy=margin_sampling, X_training=X, y_training=y)

The functions of `modAL.uncertainty`, `modAL.disagreement`, `modAL.density`, `modAL.batch` and
`modAL.utils.selection` are here under one roof. Values go in modAL's direction: a margin is the gap between
the two likeliest classes, small where the row should be asked first. modAL need not be installed.

`teach` and `fit` of modAL 0.4.2 itself need scikit-learn before 1.8 (``pip install "scikit-learn<1.8"``):
they pass `check_X_y` the argument `force_all_finite`, which 1.8 has no more. All that is here runs with any.

Where the answers differ on purpose:

=====================  ==========================================  ===========================================
what                   modAL                                       here
=====================  ==========================================  ===========================================
rows that do not       rescaled without a word                     ValueError that names the row if the sum is
sum to 1                                                           off by more than 1e-3, else taken as is
NaN probabilities      scored NaN, and picked first with           ValueError that names the row
                       ``random_tie_break=True``
NaN among values       picked first by ``random_tie_break``,       never picked
                       last without
order of a batch       that of a partition, or best last with      best first
                       ``random_tie_break=True``
equal values           whichever the partition leaves              the lower row, or evenly at random with
                                                                   ``random_tie_break``
``random_tie_break``   draws from numpy's global generator         draws from a fresh one, or from a
                                                                   ``numpy.random.Generator`` that is given in
                                                                   place of True, for runs to repeat
batch over the pool    AssertionError                              ValueError; `ranked_batch` takes the whole
                                                                   pool, as theirs does
string labels          `vote_entropy` fails                        counted
votes for no known     NaN if all of a row are                     ValueError if all of a row are
class
members that agree     a divergence of about 1e-16, or -1e-16      0
far from the origin    distances lose their digits                 distances are right
ranked batch without   may pick its first row again                no row twice
labelled data
no labelled rows       ranked batch fails if ``X_training`` is     a cold start, as with None
                       there with no row in it
cold start             the least mean distance by an n × n         in O(n) memory; means that agree to 1e-7 of
                       matrix                                      the pool's diameter count as equal
metrics                any of scikit-learn's                       "euclidean" (or "l2"); for the others the
                                                                   mean of 1 / (1 + distance) is not computed
sparse features        taken by density and ranked batch           refused by these two
=====================  ==========================================  ===========================================
"""

from querist.integrations.modal._batch import (
    ranked_batch,
    select_cold_start_instance,
    uncertainty_batch_sampling,
)
from querist.integrations.modal._density import information_density
from querist.integrations.modal._disagreement import (
    KL_max_disagreement,
    consensus_entropy,
    consensus_entropy_sampling,
    max_disagreement_sampling,
    vote_entropy,
    vote_entropy_sampling,
)
from querist.integrations.modal._selection import multi_argmax, multi_argmin
from querist.integrations.modal._uncertainty import (
    classifier_entropy,
    classifier_margin,
    classifier_uncertainty,
    entropy_sampling,
    margin_sampling,
    uncertainty_sampling,
)

__all__ = [
    "KL_max_disagreement",
    "classifier_entropy",
    "classifier_margin",
    "classifier_uncertainty",
    "consensus_entropy",
    "consensus_entropy_sampling",
    "entropy_sampling",
    "information_density",
    "margin_sampling",
    "max_disagreement_sampling",
    "multi_argmax",
    "multi_argmin",
    "ranked_batch",
    "select_cold_start_instance",
    "uncertainty_batch_sampling",
    "uncertainty_sampling",
    "vote_entropy",
    "vote_entropy_sampling",
]
