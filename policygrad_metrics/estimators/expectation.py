"""The exact expectation of a reward under independent policies, and its gradient.

Rewards that are sums over examples, or products over an example's columns, have a closed form
here. Ratios of sums are integrals, in `ratio_integral.py`.
"""

from __future__ import annotations

import tensorflow as tf

from policygrad_metrics.core.global_batch import alone, over_replicas
from policygrad_metrics.core.sites import Tensor
from policygrad_metrics.core.sums import total
from policygrad_metrics.estimators.base import policy_gradient
from policygrad_metrics.estimators.ratio_integral import ratio_expectation
from policygrad_metrics.rewards.forms import (
    ChoiceRatio,
    Form,
    IndicatorRatios,
    Linear,
    Matches,
)

# Keeps the logarithm of a chance that rounds to zero finite.
_TINY = 1e-15


def has_exact_expectation(form: Form) -> bool:
    """Whether `expectation` knows this form."""
    return isinstance(form, (Linear, Matches, IndicatorRatios, ChoiceRatio))


def expectation(form: Form, logits: Tensor, nodes: int | None = None) -> tuple[Tensor, Tensor]:
    """E[R] and its gradient with respect to the logits.

    Args:
        form: a form with an exact expectation.
        logits: float32 `[N, C, K]`.
        nodes: quadrature nodes of a ratio; None for as many as form and batch need.

    Returns:
        `(value [], gradient [N, C, K])`, float32.
    """
    if isinstance(form, Linear):
        return _linear(form, tf.nn.softmax(logits))
    if isinstance(form, Matches):
        return _matches(form, tf.nn.softmax(logits))
    if isinstance(form, IndicatorRatios) and form.layout == "rows":
        with alone():  # a ratio is that of one example's columns: only their mean is shared
            value, gradient = ratio_expectation(form, logits, nodes)
        return form.constant + over_replicas(value - form.constant), gradient
    if isinstance(form, (IndicatorRatios, ChoiceRatio)):
        return ratio_expectation(form, logits, nodes)
    raise TypeError(f"no exact expectation is known for a reward of form {type(form).__name__}.")


def _linear(form, probs):
    value = tf.cast(over_replicas(total(form.gains * probs)), tf.float32)
    return form.constant + value, policy_gradient(probs, form.gains)


def _matches(form, probs):
    right = tf.reduce_sum(probs * tf.one_hot(form.y_true, 2), axis=-1)  # [N, C]
    log_right = tf.math.log(tf.maximum(right, _TINY))
    others = tf.exp(tf.reduce_sum(log_right, axis=1, keepdims=True) - log_right)
    value = over_replicas(total(form.share * tf.exp(tf.reduce_sum(log_right, axis=1))))
    gain = form.share[:, None] * others
    gradient = policy_gradient(probs, gain[..., None] * tf.one_hot(form.y_true, 2))
    return tf.cast(value, tf.float32), gradient
