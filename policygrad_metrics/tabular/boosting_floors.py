"""Constraints of boosted trees: the loss's Lagrangian, on the whole training set at each tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Batch
from policygrad_metrics.losses.lagrangian import Lagrangian
from policygrad_metrics.rewards.inequalities import Constraints


class Floors:
    """Constraints and their multipliers, which move once at each tree.

    The rule is that of `losses.lagrangian`; no counts are kept, since those of all rows are known.

    Args:
        constraints: none of them on groups.

    Raises:
        ValueError: one is on groups.
    """

    def __init__(self, constraints: Constraints):
        if constraints.groups > 1:
            raise ValueError(
                "subject_to= of boosted trees cannot be on groups: tune their decision with "
                "DecisionTuner, which takes groups."
            )
        self._lagrangian = Lagrangian(constraints)
        self.multipliers = np.zeros(len(constraints.bounds), np.float32)

    def slope(self, y: np.ndarray, logits: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """What the constraints add to the gradient of E[R], shaped like the logits.

        Args:
            y: labels `[N]`, or label columns `[N, L]`.
            logits: `[N]`, `[N, K]` or `[N, L]`.
            weight: `[N]`, or None.
        """
        positive = y.ndim == logits.ndim  # log-odds of one class, or of label columns
        z = np.reshape(logits, (len(y), -1))
        z = np.stack([np.zeros_like(z), z], axis=-1) if positive else z[:, None, :]
        N, C, K = z.shape
        each = np.ones((N, 1)) if weight is None else np.reshape(weight, (N, 1))
        batch = Batch(
            y_true=tf.constant(np.reshape(y, (N, C)), tf.int32),
            weight=tf.constant(np.repeat(each, C, axis=1), tf.float32),
            num_classes=K,
            multilabel=y.ndim == 2,
            logits=tf.constant(z, tf.float32),
        )
        _, counts = self._lagrangian.initial_state(K, C)
        state: Any = (tf.constant(self.multipliers), tf.constant(counts))
        slope, (after, _) = self._lagrangian.step(batch, state)
        self.multipliers = after.numpy()
        found = slope.numpy().astype(np.float64)
        return np.reshape(found[..., 1] if positive else found, logits.shape)
