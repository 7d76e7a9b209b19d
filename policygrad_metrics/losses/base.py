"""What all losses share: reading the batch, refusing bad values, Keras's reduction."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor
from policygrad_metrics.policies import get_policy
from policygrad_metrics.policies.reading import MeanOfValues, read_batch


class SiteLoss(keras.losses.Loss):
    """What all losses share: reading the batch, refusing bad values, Keras's reduction."""

    def __init__(self, policy, name, reduction, dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.policy: Any = policy if policy == "auto" else get_policy(policy)
        self._reduce = MeanOfValues(reduction=reduction, dtype=dtype)

    # AutoGraph would take seconds to find out that no tensor decides what Python does here.
    @tf.autograph.experimental.do_not_convert
    def __call__(self, y_true, y_pred, sample_weight=None):
        """The loss of a batch; weights enter the counts instead of scaling the result."""
        with tf.name_scope(self.name):
            batch = read_batch(self.policy, y_true, y_pred, sample_weight)
            loss = self.batch_loss(batch)
            # One value per example, so that Keras divides by replicas as for any other loss.
            values = tf.fill([tf.shape(y_pred)[0]], 0.0) + nan_if_invalid(loss, batch)
            return self._reduce(values, values)

    @tf.autograph.experimental.do_not_convert
    def call(self, y_true, y_pred):
        """The unweighted loss of a batch, a scalar."""
        return self.batch_loss(read_batch(self.policy, y_true, y_pred))

    def batch_loss(self, batch: Any) -> Tensor:
        """The loss of one `Batch`, a scalar."""
        raise TypeError(f"{type(self).__name__} does not say how to score a batch.")

    def get_config(self):
        """The constructor's arguments."""
        policy = self.policy if self.policy == "auto" else self.policy.get_config()
        return {**super().get_config(), "policy": policy}


def nan_if_invalid(loss: Tensor, batch: Batch) -> Tensor:
    """NaN, with a zero gradient, where labels or outputs are unusable."""
    return tf.where(batch.valid, loss, tf.constant(float("nan"), loss.dtype))
