"""What a loss remembers from one training step to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor


def state_variable(initial: Any) -> tf.Variable:
    """A variable for what an estimator remembers; what is empty at first may take any size later.

    >>> float(state_variable(0.5))
    0.5
    """
    shape = [None] * np.ndim(initial) if np.size(initial) == 0 else None
    # Replicas compute the same state, that of the global batch.
    same = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(initial, trainable=False, aggregation=same, shape=shape)


def if_valid(valid: Tensor, new: Tensor, old: Any) -> Tensor:
    """The new state after a valid batch, the old one after any other; their sizes may differ."""
    old = tf.convert_to_tensor(old)  # a number, if nothing has been remembered yet
    if new.shape.is_fully_defined() and new.shape == old.shape:
        return tf.where(valid, new, old)
    return tf.cond(valid, lambda: tf.identity(new), lambda: tf.identity(old))


def on_gradient(x: Tensor, function: Callable[..., None], arguments: tuple[Tensor, ...]) -> Tensor:
    """The same tensor; whoever takes its gradient calls the function. Validation does not."""

    def same(x):
        def gradient(upstream):
            function(*arguments)
            return upstream

        return tf.identity(x), gradient

    return tf.custom_gradient(same)(x)
