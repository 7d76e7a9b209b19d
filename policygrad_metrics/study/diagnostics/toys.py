"""A problem to measure estimators on when there is none at hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor

#: Share of the last class.
_RAREST = 0.02


def toy_problem(batch: int, num_classes: int, *, seed: int = 0) -> tuple[np.ndarray, Tensor]:
    """A truth whose last class is rare, and standard normal logits.

    The last class has 2 % of the examples; the others are equally frequent. Every class has an
    example if B >= K.

    Args:
        batch: B.
        num_classes: K.
        seed: of the logits.

    Returns:
        `(y_true int [B], logits float32 [B, K])`.

    >>> y_true, logits = toy_problem(50, 3)
    >>> np.bincount(y_true).tolist(), logits.shape.as_list()
    ([25, 24, 1], [50, 3])
    """
    prior = np.full(num_classes, (1 - _RAREST) / (num_classes - 1))
    prior[-1] = _RAREST
    counts = np.maximum(1, np.round(prior * batch)).astype(int)
    while counts.sum() != batch and batch >= num_classes:
        counts[np.argmax(counts)] += np.sign(batch - counts.sum())
    y_true = np.repeat(np.arange(num_classes), counts)[:batch]
    normal = np.random.default_rng(seed).normal(size=(batch, num_classes))
    return y_true, tf.constant(normal, tf.float32)
