"""The estimators of the literature, for comparison.

Each is some forty lines with its paper, its formula, its cost in reward calls and whether it is
unbiased (`unbiased`; proved by enumeration in `tests/estimators/test_literature.py`, which also
measures the bias of the others). "All flips" of a label set are its B * K relabellings of one site,
which rewards with a formula score in closed form; a score of soft labels puts expected counts into
the reward's formula.
"""

from policygrad_metrics.estimators.base import Estimator
from policygrad_metrics.estimators.literature.antithetic import AntitheticPairs, Disarm
from policygrad_metrics.estimators.literature.counterfactual import Coma, DifferenceRewards
from policygrad_metrics.estimators.literature.muprop import MuProp
from policygrad_metrics.estimators.literature.pl_rank import PLRank
from policygrad_metrics.estimators.literature.plug_in import SoftPlugIn
from policygrad_metrics.estimators.literature.rebar import Rebar, Relax
from policygrad_metrics.estimators.literature.relaxed import GumbelSoftmax, StraightThroughGumbel
from policygrad_metrics.estimators.literature.straight_through import StraightThrough
from policygrad_metrics.estimators.literature.unordered_set import UnorderedSet

#: name -> class.
LITERATURE: dict[str, type[Estimator]] = {
    "antithetic": AntitheticPairs,
    "disarm": Disarm,
    "coma": Coma,
    "difference_rewards": DifferenceRewards,
    "muprop": MuProp,
    "pl_rank": PLRank,
    "rebar": Rebar,
    "relax": Relax,
    "unordered_set": UnorderedSet,
    "soft_plug_in": SoftPlugIn,
    "straight_through": StraightThrough,
    "gumbel_softmax": GumbelSoftmax,
    "rao_blackwell_straight_through": StraightThroughGumbel,
}

__all__ = [
    "LITERATURE",
    "AntitheticPairs",
    "Coma",
    "DifferenceRewards",
    "Disarm",
    "GumbelSoftmax",
    "MuProp",
    "PLRank",
    "Rebar",
    "Relax",
    "SoftPlugIn",
    "StraightThrough",
    "StraightThroughGumbel",
    "UnorderedSet",
]
