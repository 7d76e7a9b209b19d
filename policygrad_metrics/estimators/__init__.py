"""Estimators: the expected reward and its gradient with respect to the logits.

Read `base.py`, then `reinforce.py`, `local_expectation.py`, `exact.py` and the mathematics in
`ratio_integral.py`; where ratios do not reach `poisson_binomial.py` and `delta_method.py`; for
black boxes `control_variate.py`.
"""

from policygrad_metrics.estimators.base import Estimate, Estimator, SamplingEstimator
from policygrad_metrics.estimators.control_variate import ControlVariate
from policygrad_metrics.estimators.delta_method import DeltaMethod
from policygrad_metrics.estimators.enumeration import Enumerate
from policygrad_metrics.estimators.exact import ExactExpectation
from policygrad_metrics.estimators.local_expectation import LocalExpectation
from policygrad_metrics.estimators.poisson_binomial import PoissonBinomial
from policygrad_metrics.estimators.registry import (
    ESTIMATORS,
    estimator_config,
    get_estimator,
    strongest_estimator,
)
from policygrad_metrics.estimators.reinforce import Reinforce
from policygrad_metrics.estimators.reused_samples import ReusedSamples

__all__ = [
    "ESTIMATORS",
    "ControlVariate",
    "DeltaMethod",
    "Enumerate",
    "Estimate",
    "Estimator",
    "ExactExpectation",
    "LocalExpectation",
    "PoissonBinomial",
    "Reinforce",
    "ReusedSamples",
    "SamplingEstimator",
    "estimator_config",
    "get_estimator",
    "strongest_estimator",
]
