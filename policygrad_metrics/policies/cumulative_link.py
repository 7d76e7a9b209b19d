"""Ordered classes, by thresholds on one hidden scale."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, final

import tensorflow as tf

from policygrad_metrics.core.checks import choose
from policygrad_metrics.policies.base import Layout, Policy, as_float32, columns
from policygrad_metrics.policies.intervals import NOISES, log_level_probabilities

# Keeps the logarithm of a gap, and its gradient, finite when softplus underflows to zero; a level
# that narrow has a probability of about exp(-69).
_SMALLEST_GAP = 1e-30


@final
@dataclasses.dataclass(frozen=True)
class CumulativeLink(Policy):
    """P(y <= k) = F(theta_k), theta_0 = o_0, theta_k = theta_{k-1} + softplus(o_k).

    The ordinal regression of McCullagh (1980), with thresholds that depend on the example. Level
    probabilities are differences of F, taken in log space.

    Outputs: `[*sites, K-1]` unconstrained numbers without an activation, K >= 2.
    Truth: levels 0 .. K-1, `[*sites]` or `[*sites, 1]`.

    Args:
        link: F: "logistic" (proportional odds) or "normal" (ordered probit).

    Raises:
        ValueError: `link` is not known.

    >>> policy = CumulativeLink()
    >>> tf.exp(policy.logits(tf.constant([[0.0]]))).numpy()
    array([[0.5, 0.5]], dtype=float32)
    >>> CumulativeLink("probit")
    Traceback (most recent call last):
    ValueError: link='probit' is not known... Allowed: 'logistic', 'normal'.
    """

    name: ClassVar[str] = "cumulative_link"
    _truth_way_out: ClassVar[str] = (
        "give one level number per site; K levels need K-1 output columns, Dense(K - 1)."
    )

    link: str = "logistic"

    def __post_init__(self) -> None:
        choose("link", self.link, NOISES)

    def layout(self, outputs: Any) -> Layout:
        sites, edges = columns(outputs)
        return Layout(sites, edges + 1)

    def logits(self, outputs: Any) -> tf.Tensor:
        self.layout(outputs)
        outputs = as_float32(outputs)
        gaps = tf.nn.softplus(outputs[..., 1:]) + _SMALLEST_GAP
        thresholds = tf.cumsum(tf.concat([outputs[..., :1], gaps], axis=-1), axis=-1)
        return log_level_probabilities(thresholds, gaps, self.link)
