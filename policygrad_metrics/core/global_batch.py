"""The global batch under tf.distribute: what the replicas' parts of it add up to.

A reward is scored on the whole batch, of which each replica holds some examples (unevenly many, or
none). All that a reward needs from the others are sums over examples: of weights, of counts, of the
exact expectation's terms at each quadrature node. Every such sum in this package ends in
`over_replicas`; on a single device that is the sum itself. What follows from the sums is
computed on every replica alike, and the gradient stays with the replica that holds the example.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor

#: The strategies that Keras 3 can train with on TensorFlow and that this package is tested with.
SUPPORTED = {
    "OneDeviceStrategy": tf.distribute.OneDeviceStrategy,
    "MirroredStrategy": tf.distribute.MirroredStrategy,
    "MultiWorkerMirroredStrategy": tf.distribute.MultiWorkerMirroredStrategy,
}

_APART: contextvars.ContextVar[bool] = contextvars.ContextVar("apart", default=False)


def check_strategy() -> None:
    """Refuse to work under a strategy that Keras 3 cannot train with.

    Raises:
        ValueError: the present strategy is none of the supported ones.
    """
    strategy = tf.distribute.get_strategy()
    if tf.distribute.has_strategy() and not isinstance(strategy, tuple(SUPPORTED.values())):
        raise ValueError(
            f"{type(strategy).__name__} cannot be used: Keras 3 does not train with it on "
            "TensorFlow, or the reward could not be summed over its replicas. Use one of "
            f"{', '.join(SUPPORTED)}."
        )


def replicas() -> int:
    """How many replicas share the present batch: 1 outside of `strategy.run`.

    >>> replicas()
    1
    """
    context = _context()
    return 1 if context is None else context.num_replicas_in_sync


def over_replicas(x: Any) -> Any:
    """The sum over replicas of a tensor, or of each of a list of floats (in one exchange).

    Its gradient is this replica's own: that of the sum with respect to this replica's part.

    >>> over_replicas(tf.constant([1.0, 2.0])).numpy().tolist()
    [1.0, 2.0]
    """
    context = _context()
    if context is None:
        return x
    exchange = context

    def total(*parts):
        sums = exchange.all_reduce(tf.distribute.ReduceOp.SUM, list(parts))
        return list(sums), lambda *upstream: list(upstream)

    wrapped: Any = tf.custom_gradient(total)
    sums = wrapped(*tf.nest.flatten(x))
    return tf.nest.pack_sequence_as(x, tf.nest.flatten(sums))


@contextlib.contextmanager
def on_this_replica() -> Iterator[None]:
    """Within, sums stay on this replica: for what every replica computes of the global batch."""
    token = _APART.set(True)
    try:
        yield
    finally:
        _APART.reset(token)


def shared_gradient(loss: Tensor) -> Tensor:
    """A loss of the global batch, with the gradient that Keras's division by replicas calls for.

    Keras divides each replica's loss by their number and adds the gradients up; a loss that every
    replica has in full, with the gradient of its own examples, must be multiplied first.
    """
    count = float(replicas())
    return loss if count == 1.0 else count * loss + tf.stop_gradient((1.0 - count) * loss)


def gathered(*parts: Tensor) -> list[Tensor]:
    """The examples of all replicas, in the replicas' order, of tensors `[N, ...]`.

    For rewards that are more than sums over examples; its exchange grows with the batch.
    """
    context = _context()
    if context is None:
        return list(parts)
    start, total = _place(context, parts[0])
    rest = total - start - tf.shape(parts[0])[0]
    # One by one: MirroredStrategy cannot exchange integers together with anything else.
    return [
        over_replicas(tf.pad(x, [[start, rest]] + [[0, 0]] * (x.shape.rank - 1))) for x in parts
    ]


def own_rows(x: Tensor, like: Tensor) -> Tensor:
    """The examples of a gathered tensor that are this replica's, as many as `like` has."""
    context = _context()
    if context is None:
        return x
    start, _ = _place(context, like)
    return x[start : start + tf.shape(like)[0]]


def first_replica() -> bool:
    """Whether this is the replica that does what must be done once."""
    context = _context()
    return context is None or _number(context) == 0


def first_of_process() -> bool:
    """Whether this is the replica that does what must be done once in each worker's process."""
    context = _context()
    if context is None:
        return True
    return _number(context) % len(context.strategy.extended.worker_devices) == 0


def replica_seed(seed: Tensor) -> Tensor:
    """A seed `[2]` that differs between replicas, and is the given one on the first.

    >>> replica_seed(tf.constant([7, 0])).numpy().tolist()
    [7, 0]
    """
    context = _context()
    if context is None:
        return seed
    return seed + tf.constant([0, _number(context)])


def _context():
    if _APART.get() or not tf.distribute.has_strategy():
        return None
    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context


def _number(context) -> int:
    """The replica's number in the global batch; each replica is traced on its own and knows it."""
    return int(tf.get_static_value(context.replica_id_in_sync_group))


def _place(context, x):
    """Where this replica's examples begin in the global batch, and the number of all examples."""
    replica, count = _number(context), context.num_replicas_in_sync
    here = tf.one_hot(replica, count, dtype=tf.int32)
    sizes = over_replicas(here * tf.shape(x)[0])
    start = tf.reduce_sum(tf.cumsum(sizes, exclusive=True) * here)
    return start, tf.reduce_sum(sizes)
