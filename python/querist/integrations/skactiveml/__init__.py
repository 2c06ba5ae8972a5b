"""A drop-in for scikit-activeml 1.0: its functions on plain arrays, by their own names.

Swap the import and keep the call::

    from querist.integrations.skactiveml import uncertainty_scores  # was: from skactiveml.pool import ...

From `skactiveml.pool` there are `uncertainty_scores`, `average_kl_divergence`, `vote_entropy`,
`variation_ratios` and `k_greedy_center`, from `skactiveml.utils` there is `simple_batch`. scikit-activeml
need not be installed.

There are no classes of strategies. What `UncertaintySampling(...).query(X, y, clf, batch_size=10)` does, with
`is_labeled` of `skactiveml.utils`, is::

    clf.fit(X, y)
    utilities = uncertainty_scores(clf.predict_proba(X), method="margin_sampling")
    utilities[is_labeled(y)] = np.nan
    indices = simple_batch(utilities, random_state=0, batch_size=10)

Where the answers differ on purpose:

=====================  ==========================================  ===========================================
what                   scikit-activeml                             here
=====================  ==========================================  ===========================================
arrays given           overwritten by `average_kl_divergence`      never written
                       and `simple_batch`
rows that are no       clipped and rescaled without a word by      ValueError that names the row
probabilities          `average_kl_divergence`; negative ones
                       left out of the entropy
``eps``                probabilities under it are raised to it     up to 1e-7, the default, does nothing: the
                                                                   divergence of the numbers given
members that agree     a divergence of about 1e-16, or -1e-16      0
string votes           refused                                     counted
no rows, one class     refused                                     scored: no numbers, or no uncertainty; with
                                                                   costs one class is refused here too
odd cost matrices      warned of                                   taken as they are
batch over the pool    `k_greedy_center` repeats row 0;            ValueError; `simple_batch` as theirs
                       `simple_batch` warns and gives fewer
duplicates of centres  once all rows are, `k_greedy_center`        centres stay centres, the distances 0
                       forgets all centres but the last
equal distances        `k_greedy_center` picks at random           the lower row
far from the origin    distances lose their digits                 distances are right
random draws           from a ``RandomState``, by default          from a ``Generator`` that starts at
                       numpy's global one                          `random_state`, by default a fresh one:
                                                                   other numbers, the same chances
metrics                any of scikit-learn's                       "euclidean" and "cosine"
=====================  ==========================================  ===========================================
"""

from querist.integrations.skactiveml._batch import simple_batch
from querist.integrations.skactiveml._committee import average_kl_divergence, variation_ratios, vote_entropy
from querist.integrations.skactiveml._k_center import k_greedy_center
from querist.integrations.skactiveml._uncertainty import uncertainty_scores

__all__ = [
    "average_kl_divergence",
    "k_greedy_center",
    "simple_batch",
    "uncertainty_scores",
    "variation_ratios",
    "vote_entropy",
]
