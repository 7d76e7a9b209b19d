"""What a loss remembers from one training step to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor

State = tuple[Any, ...]


class Memory:
    """The variables of a loss, made with it; counts take their size from the first batch.

    A loss that is made inside a graph can keep nothing: each call starts anew.

    Args:
        initial: (number of classes or None, label columns) -> what is remembered at first, with
            counts `[..., C, K, K]` last if there are any; of size 0 where K is None.
    """

    def __init__(self, initial: Callable[[int | None, int], State]):
        self._initial = initial
        self.keeps = tf.executing_eagerly()
        self.variables = [_variable(x) for x in initial(None, 1)] if self.keeps else []
        self._size: tuple[int, int] | None = None

    def read(self, batch: Batch) -> State:
        """What is remembered when this batch comes.

        Raises:
            ValueError: there are counts of other numbers of classes or columns.
        """
        size = (batch.num_classes, batch.columns)
        if not self.keeps:
            return self._initial(*size)
        if self.variables and self._size is None:
            first = self._initial(*size)
            with tf.init_scope():  # XLA cannot change a variable's size
                for variable, value in zip(self.variables, first, strict=True):
                    if np.size(value) and not variable.shape.is_fully_defined():
                        variable.assign(value)
            counts = np.shape(first[-1])
            self._size = size if counts[-3:] == (size[1], size[0], size[0]) else None
        elif self._size not in (None, size):
            raise ValueError(
                f"this loss keeps counts of {_in_words(self._size)} and now meets outputs of "
                f"{_in_words(size)}: use a loss of its own for each model."
            )
        return tuple(self.variables)

    def sized(self, state: State, batch: Batch) -> State:
        """A state whose counts have their size, of a state that may be that before any batch."""
        first = self._initial(batch.num_classes, batch.columns)
        pairs = zip(state, first, strict=True)
        return tuple(sized(x, np.shape(value)) if np.size(value) else x for x, value in pairs)

    def assign(self, *values: Tensor) -> None:
        """Remember the next state."""
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)

    def restore(self, values: Sequence[Any]) -> None:
        """Take back what the variables held."""
        self.assign(*values)
        counts = np.shape(values[-1]) if values else ()
        self._size = (counts[-1], counts[-3]) if len(counts) >= 3 and all(counts) else None

    def get_config(self) -> dict[str, Any]:
        """`{"memory": values}` once there are counts, so that a saved model brings them along."""
        if self._size is None:
            return {}
        return {"memory": [variable.numpy().tolist() for variable in self.variables]}


def _in_words(size):
    return f"K={size[0]} classes in {size[1]} column{'s' * (size[1] > 1)}"


def _variable(initial: Any) -> tf.Variable:
    """A variable; what is empty at first may take any size later."""
    shape = [None] * np.ndim(initial) if np.size(initial) == 0 else None
    # Replicas compute the same state, that of the global batch.
    same = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return tf.Variable(initial, trainable=False, aggregation=same, shape=shape)


def sized(stored: Any, shape: Sequence[int]) -> Tensor:
    """What is stored, in this shape; zeros if it is empty still.

    >>> sized(tf.zeros([0, 0]), [2, 1]).numpy().tolist()
    [[0.0], [0.0]]
    """
    held: Any = tf.convert_to_tensor(stored, tf.float32)
    if held.shape == tf.TensorShape(shape):
        return held
    size = int(np.prod(shape))
    flat = tf.concat([tf.reshape(held, [-1]), tf.zeros([size])], axis=0)
    return tf.reshape(flat[:size], shape)


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
