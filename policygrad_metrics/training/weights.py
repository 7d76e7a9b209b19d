"""A network's weights as one row of numbers, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor


class Layout:
    """Where each trainable variable of a network lies in the row.

    Args:
        network: a built model; its weights are not read.

    >>> layout = Layout(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    >>> layout.size, [part.shape.as_list() for part in layout.split(tf.zeros([8]))]
    (8, [[3, 2], [2]])
    """

    def __init__(self, network: keras.Model):
        self._network = network
        self._shapes = [tuple(v.shape) for v in network.trainable_variables]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self.size = sum(self._sizes)

    def split(self, row: Any) -> list[Tensor]:
        """The trainable variables' values."""
        parts = tf.split(row, self._sizes)
        return [tf.reshape(part, s) for part, s in zip(parts, self._shapes, strict=True)]

    def for_model(self, row: Any, others: Sequence[Any]) -> list[np.ndarray]:
        """What `set_weights` of a model of the same network takes.

        Args:
            row: `[P]`.
            others: values of the variables that are not trained.
        """
        model = self._network
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        values = [*self.split(row), *others]
        place = {id(variable): number for number, variable in enumerate(variables)}
        return [np.asarray(values[place[id(variable)]]) for variable in model.weights]


def as_row(values: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays as one row, float32.

    >>> as_row([np.ones((2, 1)), np.zeros(1)]).tolist()
    [1.0, 1.0, 0.0]
    """
    return np.concatenate([np.zeros(0, np.float32), *(value.ravel() for value in values)])
