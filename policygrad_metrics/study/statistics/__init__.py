"""The statistics of a comparison: effect first, then its interval, then a p-value.

Two questions are kept apart. *Is A better than B on this data set?* is answered from runs paired
by seed and split (`paired_difference`, `nadeau_bengio` where the splits overlap). *Is A better than
B on data sets like these?* is answered from one number per data set (`wilcoxon`, `friedman`,
ranks): the seeds of one data set are not independent data sets, and are averaged first.

Scores are "larger is better" throughout. `level` is always the confidence, .95 and not .05.
"""

from policygrad_metrics.study.statistics.comparison import (
    PairedDifference,
    paired_difference,
    paired_improvement,
    probability_of_improvement,
)
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
    bootstrap_interval,
    interquartile_mean,
    interquartile_mean_interval,
    mean_interval,
)
from policygrad_metrics.study.statistics.ranking import (
    FriedmanTest,
    average_ranks,
    cliques,
    critical_difference,
    friedman,
    friedman_permutation,
    ranks,
)

__all__ = [
    "CorrectedTest",
    "FriedmanTest",
    "Interval",
    "PairedDifference",
    "SignedRankTest",
    "average_ranks",
    "bootstrap_interval",
    "cliques",
    "critical_difference",
    "friedman",
    "friedman_permutation",
    "holm",
    "interquartile_mean",
    "interquartile_mean_interval",
    "mean_interval",
    "nadeau_bengio",
    "paired_difference",
    "paired_improvement",
    "probability_of_improvement",
    "ranks",
    "sign_flip",
    "wilcoxon",
]
