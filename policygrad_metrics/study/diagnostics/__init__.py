"""Diagnostics of gradient estimators: bias, variance, direction and cost.

`measure_gradients` sets every estimator side by side on one batch, with the exact gradient as the
truth. `policygrad variance` is the command.
"""

from policygrad_metrics.study.diagnostics.measure import measure_gradients, toy_problem
from policygrad_metrics.study.diagnostics.published import published_table, run_published
from policygrad_metrics.study.diagnostics.report import GradientReport

__all__ = [
    "GradientReport",
    "measure_gradients",
    "published_table",
    "run_published",
    "toy_problem",
]
