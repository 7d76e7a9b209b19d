"""The statistics of a comparison: effect first, then its interval, then a p-value.

Two questions are kept apart. *Is A better than B on this data set?* is answered from runs paired
by seed and split (`sign_flip`, or `nadeau_bengio` where the splits overlap). *Is A better than B on
data sets like these?* is answered from one number per data set (`wilcoxon`, ranks): the seeds of
one data set are not independent data sets, and are averaged first.

Scores are "larger is better" throughout. Arguments that several functions share:

    level        confidence, in (.5, 1): .95 and not .05
    resamples    number of bootstrap samples, flips or orders drawn, 100 or more
    seed         of those draws, a whole number of at least 0

All functions raise a ValueError if an argument is empty, not finite, of the wrong shape or out of
range.
"""

from policygrad_metrics.study.statistics.hypotheses import (
    CorrectedTest,
    SignedRankTest,
    holm,
    nadeau_bengio,
    sign_flip,
    wilcoxon,
)
from policygrad_metrics.study.statistics.intervals import (
    Interval,
    interquartile_mean_interval,
    mean_interval,
    probability_of_improvement,
)
from policygrad_metrics.study.statistics.ranking import (
    average_ranks,
    cliques,
    critical_difference,
    friedman_permutation,
    ranks,
)

__all__ = [
    "CorrectedTest",
    "Interval",
    "SignedRankTest",
    "average_ranks",
    "cliques",
    "critical_difference",
    "friedman_permutation",
    "holm",
    "interquartile_mean_interval",
    "mean_interval",
    "nadeau_bengio",
    "probability_of_improvement",
    "ranks",
    "sign_flip",
    "wilcoxon",
]
