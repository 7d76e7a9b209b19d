"""Whether the values of a batch are usable: an error where one can be raised, False under XLA."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import tensorflow as tf

from policygrad_metrics.core._compat import in_vectorized_map, under_xla
from policygrad_metrics.core.batch import Tensor

#: What must be True `[B, ...]`, what to say if it is not, and the values, `[B, ...]` or more.
Problem = tuple[Tensor, Callable[[], str], Tensor]


def all_fine(problems: Sequence[Problem]) -> Tensor:
    """A scalar that says whether all is fine.

    Raises:
        ValueError: something is not, outside of graphs. A graph raises when it runs.

    >>> bool(all_fine([(tf.constant([True]), lambda: "labels must be 0", tf.constant([0]))]))
    True
    >>> all_fine([(tf.constant([True, False]), lambda: "labels must be 0", tf.constant([0, 7]))])
    Traceback (most recent call last):
    ValueError: labels must be 0. First such values: [7].
    """
    if under_xla():
        # Example by example first: XLA compiles a reduction of the batch in some 40 ms.
        return tf.reduce_all(functools.reduce(operator.and_, (_rows(x) for x, _, _ in problems)))
    valid = functools.reduce(operator.and_, [tf.reduce_all(fine) for fine, _, _ in problems])
    if tf.executing_eagerly() and valid:
        return valid

    def complain():
        with tf.control_dependencies([_assertion(*problem) for problem in problems]):
            # Not a constant: with one TensorFlow would take the state of a valid batch, and its
            # shape, for the only one.
            return tf.identity(valid)

    if in_vectorized_map():
        return complain()
    return tf.cond(valid, lambda: tf.constant(True), complain)


def _assertion(fine, about, values):
    """Raise an error unless all is fine, or make a graph raise it."""
    every, eager = tf.reduce_all(fine), tf.executing_eagerly()
    if eager and every:
        return every
    first = tf.reshape(tf.boolean_mask(values, ~fine), [-1])[:8]
    message = f"{about()}. First such values:"
    if eager:
        raise ValueError(f"{message} {first.numpy().tolist()}.")
    return tf.debugging.Assert(every, [message, first])


def _rows(fine):
    """True for the examples `[B]` in which everything is fine, of `[B, ...]`."""
    return tf.reduce_all(fine, axis=list(range(1, fine.shape.rank)))
