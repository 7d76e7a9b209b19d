"""Keras losses on a reward or a surrogate, and the reward as a Keras metric.

Read `base.py` (what all losses share), then `policy_gradient.py`. `surrogate.py` and `steps.py`
hold the rivals, `metric.py` the metric.
"""

from policygrad_metrics.losses.metric import RewardMetric
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.losses.steps import StaircaseStepsLoss, TanhStepsLoss
from policygrad_metrics.losses.surrogate import FocalLoss, SurrogateLoss

__all__ = [
    "FocalLoss",
    "PolicyGradientLoss",
    "RewardMetric",
    "StaircaseStepsLoss",
    "SurrogateLoss",
    "TanhStepsLoss",
]
