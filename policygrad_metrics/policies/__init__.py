"""Policies: from a network's outputs to a distribution over labels.

`base` says what a policy is; one file for each member; `intervals` holds the arithmetic of levels,
`truth` the reading of `y_true`, `registry` the names.
"""

from policygrad_metrics.policies.base import Policy
from policygrad_metrics.policies.binned_regression import BinnedRegression
from policygrad_metrics.policies.continuation_ratio import ContinuationRatio
from policygrad_metrics.policies.cumulative_link import CumulativeLink
from policygrad_metrics.policies.mixture import Mixture, member_policy
from policygrad_metrics.policies.plackett_luce import PlackettLuce
from policygrad_metrics.policies.registry import POLICIES, get_policy
from policygrad_metrics.policies.sigmoid import Sigmoid
from policygrad_metrics.policies.softmax import Softmax

__all__ = [
    "POLICIES",
    "BinnedRegression",
    "ContinuationRatio",
    "CumulativeLink",
    "Mixture",
    "PlackettLuce",
    "Policy",
    "Sigmoid",
    "Softmax",
    "get_policy",
    "member_policy",
]
