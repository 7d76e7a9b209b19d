"""Rewards: what a label set is worth against the truth.

Read `base.py` (what a reward is), `bound.py` (what estimators see of it), then a family:
`ratios.py`, `levels.py`, `counts.py`. `registry.py` holds the names.
"""

from policygrad_metrics.rewards.base import ClassCountReward, CountReward, RatioReward, Reward
from policygrad_metrics.rewards.black_box import BlackBox
from policygrad_metrics.rewards.counts import (
    BalancedAccuracy,
    GeometricMean,
    MatthewsCorrelation,
    WorstClassRecall,
)
from policygrad_metrics.rewards.levels import (
    Accuracy,
    CohenKappa,
    GainMatrix,
    Hamming,
    NegMeanLevelError,
    WithinBins,
    cost_matrix,
)
from policygrad_metrics.rewards.ratios import FBeta, Jaccard, Precision, Recall
from policygrad_metrics.rewards.registry import (
    ALIASES,
    REWARDS,
    get_reward,
    reward_names,
)
from policygrad_metrics.rewards.specificity import Specificity

__all__ = [
    "ALIASES",
    "REWARDS",
    "Accuracy",
    "BalancedAccuracy",
    "BlackBox",
    "ClassCountReward",
    "CohenKappa",
    "CountReward",
    "FBeta",
    "GainMatrix",
    "GeometricMean",
    "Hamming",
    "Jaccard",
    "MatthewsCorrelation",
    "NegMeanLevelError",
    "Precision",
    "RatioReward",
    "Recall",
    "Reward",
    "Specificity",
    "WithinBins",
    "WorstClassRecall",
    "cost_matrix",
    "get_reward",
    "reward_names",
]
