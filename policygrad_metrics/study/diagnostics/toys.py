"""A problem to measure estimators on when there is none at hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.sites import Tensor


def toy_problem(
    batch: int, num_classes: int, *, rarest: float = 0.02, scale: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, Tensor]:
    """A truth whose last class is rare, and random logits.

    Args:
        batch: B.
        num_classes: K.
        rarest: share of the last class; the others are equally frequent. Every class has an
            example if B >= K.
        scale: standard deviation of the logits.
        seed: of the logits.

    Returns:
        `(y_true int [B], logits float32 [B, K])`.

    >>> y_true, logits = toy_problem(50, 3)
    >>> np.bincount(y_true).tolist(), logits.shape.as_list()
    ([25, 24, 1], [50, 3])
    """
    prior = np.full(num_classes, (1 - rarest) / (num_classes - 1))
    prior[-1] = rarest
    counts = np.maximum(1, np.round(prior * batch)).astype(int)
    while counts.sum() != batch and batch >= num_classes:
        counts[np.argmax(counts)] += np.sign(batch - counts.sum())
    y_true = np.repeat(np.arange(num_classes), counts)[:batch]
    normal = np.random.default_rng(seed).normal(size=(batch, num_classes))
    return y_true, tf.constant(normal * scale, tf.float32)
