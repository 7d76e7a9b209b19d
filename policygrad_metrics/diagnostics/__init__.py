"""Diagnostics: how good is the gradient? (floor 3).

`measure_gradients` sets every estimator side by side on one batch, with the exact gradient as the
truth; `GradientMonitor` watches a training run. `policygrad variance` is the command.
"""

from policygrad_metrics.diagnostics.measure import measure_gradients
from policygrad_metrics.diagnostics.monitor import GradientMonitor
from policygrad_metrics.diagnostics.report import GradientReport
from policygrad_metrics.diagnostics.toys import toy_problem

__all__ = [
    "GradientMonitor",
    "GradientReport",
    "measure_gradients",
    "toy_problem",
]
