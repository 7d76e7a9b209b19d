"""What a loss on a reward of rankings has of its own: no terms of labels, another cross-entropy."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor
from policygrad_metrics.rewards import Reward
from policygrad_metrics.rewards.rankings import of_lists, unequal_weights, weights_alike


def refuse_of_labels(reward: Reward, entropy: Any, running_counts: Any, subject_to: Any) -> None:
    """Raise a ValueError for an argument that is given, not None, with a reward of rankings.

    >>> from policygrad_metrics.rewards import get_reward
    >>> refuse_of_labels(get_reward("roc_auc"), None, None, None)
    """
    given = {"entropy": entropy, "running_counts": running_counts, "subject_to": subject_to}
    for argument, value in given.items():
        if reward.ranks and value is not None:
            raise ValueError(
                f"{argument}={value!r} is for rewards of labels, and the reward scores a ranking: "
                "leave it out."
            )


def check_weights(reward: Any, weight: Tensor) -> None:
    """Raise an error in a graph if the weights of a list have no exact expectation.

    Where the expectation is XLA's program within that graph, no error can be raised there.
    """
    if reward.ranks and not reward.exact_of_weights:
        tf.debugging.Assert(weights_alike(weight), [unequal_weights(reward)])


def list_cross_entropy(batch: Batch, alike: bool) -> Tensor:
    """The mean cross-entropy of lists of items.

    Of 0/1 truth it is the binary cross-entropy of the items. Of grades it is ListNet's (Cao et al.
    2007): a softmax over the list against the items' shares of all grades.

    Args:
        batch: of a policy that ranks.
        alike: whether positives count as much as negatives, as they do to a ranking, however few
            they are. A score above 0 then means "rather yes, if there were as many of both".
    """
    scores = batch.logits[..., 0]
    weight, share = of_lists(batch.weight)
    if not batch.policy.graded:
        each = tf.nn.sigmoid_cross_entropy_with_logits(labels=batch.y_true, logits=scores)
        sides = (
            [weight * batch.y_true, weight * (1.0 - batch.y_true)]
            if alike
            else [weight * tf.ones_like(scores)]
        )
        totals = tf.stack([tf.reduce_sum(side) for side in sides])
        sums = tf.stack([tf.reduce_sum(side * each) for side in sides])
        there = tf.reduce_sum(tf.cast(totals > 0.0, tf.float32))
        return tf.math.divide_no_nan(tf.reduce_sum(tf.math.divide_no_nan(sums, totals)), there)
    gains = weight * batch.y_true
    gains = tf.math.divide_no_nan(gains, tf.reduce_sum(gains, axis=-1, keepdims=True))
    log_probs = tf.nn.log_softmax(tf.where(weight > 0.0, scores, -1e9))
    return -tf.reduce_sum(share * tf.reduce_sum(gains * log_probs, axis=-1))
