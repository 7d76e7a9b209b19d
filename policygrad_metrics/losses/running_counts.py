"""Running counts of the rest of the data set, beside which a batch is scored.

A window of W examples, exponentially forgotten, stands for the rest of the data. After a batch of
weight B, whose expected confusion counts under the policy are E,

    counts <- (counts + E) W / (W + B)            so that counts come to W examples in all

and the next batch's gradient is that of the reward of both together, times (W + B) / B, because the
batch stands for all of those examples. In the limit of a large W that is the stochastic
compositional gradient of Wang, Fang & Liu (2017): the metric's slope at running counts.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor, softmax
from policygrad_metrics.estimators import Estimate
from policygrad_metrics.losses.beside import BesideCounts
from policygrad_metrics.rewards import Reward

#: Examples in the window of `running_counts=True`; measured, see benchmarks/notes/results.md.
WINDOW = 512.0


def window_of(running_counts: Any) -> Any:
    """The number of examples in the window, None without one.

    Raises:
        ValueError: it is neither None, True, False nor a positive number.

    >>> window_of(True) == WINDOW, window_of(500)
    (True, 500)
    """
    if running_counts is None or running_counts is False:
        return None
    if running_counts is True:
        return WINDOW
    if tf.is_tensor(running_counts):
        return running_counts
    if isinstance(running_counts, str) or not 0.0 < running_counts < float("inf"):
        raise ValueError(
            "running_counts must be None, True, or the number of examples in their window, more "
            f"than 0; it is {running_counts!r}."
        )
    return running_counts


def empty_counts(num_classes: int | None, *lead: int) -> np.ndarray:
    """The counts before the first batch, `[*lead, K, K]`; of size 0 where K is not known.

    >>> empty_counts(3, 1).shape, empty_counts(None, 1).shape
    ((1, 3, 3), (0, 0, 0))
    """
    shape = (*lead, num_classes, num_classes) if num_classes else (0,) * (len(lead) + 2)
    return np.zeros(shape, np.float32)


def refuse_second_output(met: MutableMapping[Any, str], outputs: Any, places: int) -> None:
    """Raise if the counts of two outputs of one network would mix.

    Args:
        met: the outputs' name in each graph that the loss was traced in; this one is added.
        outputs: the network's outputs.
        places: for how many outputs the loss was compiled; 0 if it was not.

    Raises:
        ValueError: the graph has had other outputs (unknown in a loop of one's own in eager mode).
    """
    second = places > 1
    if not tf.executing_eagerly():
        tensor: Any = tf.convert_to_tensor(outputs)
        second |= met.setdefault(tensor.graph, tensor.name) != tensor.name
    if second:
        raise ValueError(
            "this loss keeps counts of its batches and is used for two outputs, which would mix. "
            "Give each output a PolicyGradientLoss of its own."
        )


def estimate_beside(
    score: Callable[[Reward], Estimate], reward: Reward, batch: Batch, counts: Tensor, window: Any
) -> Estimate:
    """The estimate of a batch beside running counts; the last of its state are the next counts.

    Its value is that of the batch alone, so that the loss means the same in training and
    validation; its gradient is that of the batch beside the counts.

    Args:
        score: estimates a reward on the batch.
        reward: one of confusion counts.
        batch: logits, truth and weights in canonical shape.
        counts: `[C, K, K]`.
        window: W.
    """
    columns, K, _ = counts.shape
    alone, beside = score(reward), score(BesideCounts(reward, counts))
    own = tf.reduce_sum(batch.weight) / columns
    others = tf.reduce_sum(counts) / columns
    scale = 1.0 + tf.math.divide_no_nan(others, own)
    truth = tf.one_hot(batch.y_true, K) * batch.weight[..., None]
    expected = tf.einsum("nct,nca->cta", truth, softmax(batch.logits))
    after = (counts + expected) * (window / (window + own))
    return Estimate(alone.value, scale * beside.gradient, (*beside.state, after))
