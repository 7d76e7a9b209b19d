"""Shuffled batches whose order is a function of (seed, epoch) alone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.checks import check_whole
from policygrad_metrics.training.order import permutation


class EpochOrder:
    """Which epoch's order comes next, and that order.

    Args:
        examples: N.
        batch_size: examples per batch.
        seed: of the orders.
    """

    def __init__(self, examples: int, batch_size: int, seed: int):
        self.examples = examples
        self.batch_size = batch_size
        self.seed = seed
        #: The epoch whose order the next pass over the data takes.
        self.epoch = 0

    def take(self) -> np.ndarray:
        """The order of the present epoch, int64 `[N]`; the next call gives the next epoch's."""
        order = permutation(self.seed, self.epoch, self.examples)
        self.epoch += 1
        return order

    def get_config(self) -> dict[str, int]:
        """The constructor's arguments."""
        return {"examples": self.examples, "batch_size": self.batch_size, "seed": self.seed}


def shuffled_batches(
    x: Any, y: Any = None, sample_weight: Any = None, *, batch_size: int, seed: int = 0
) -> tf.data.Dataset:
    """Batches for `fit` in an order that depends on (seed, epoch) alone.

    `fit(x, y, shuffle=True)` draws its order from TensorFlow's global generator: a resumed run
    cannot know where that stood (and after `keras.utils.set_random_seed` every epoch has the
    *same* order). Here epoch e of any run has the same order, a different one from that of other
    epochs; the last batch holds what is left over. Each pass over the dataset is one epoch, unless
    it is given to `BackupAndRestore(also=[...])`, which counts as `fit` does, and goes on counting
    after a resume. Give it to `fit` with `shuffle=False`, or Keras warns that it does not shuffle.

    Args:
        x: an array of N examples, or a list, tuple or dictionary of such arrays.
        y: likewise, or None.
        sample_weight: likewise, or None.
        batch_size: examples per batch.
        seed: 0 or more.

    Returns:
        A `tf.data.Dataset` of `x`, `(x, y)` or `(x, y, sample_weight)`; its attribute
        `epoch_order` holds the epoch.

    Raises:
        ValueError: the arrays differ in length or are empty; batch_size or seed are out of range.

    >>> import numpy as np, policygrad_metrics as pgm
    >>> batches = pgm.training.shuffled_batches(np.arange(5), batch_size=3, seed=1)
    >>> [batch.numpy().tolist() for batch in batches]
    [[4, 0, 1], [2, 3]]
    >>> [batch.numpy().tolist() for batch in batches]
    [[1, 4, 0], [3, 2]]
    """
    check_whole("batch_size", batch_size, 1)
    check_whole("seed", seed, 0)
    if y is None and sample_weight is not None:
        raise ValueError("sample_weight needs y: give the targets too.")
    parts = tuple(part for part in (x, y, sample_weight) if part is not None)
    order = EpochOrder(number_of_examples(parts), int(batch_size), int(seed))
    return ordered_batches(parts, order, -(-order.examples // order.batch_size))


def ordered_batches(parts: tuple[Any, ...], order: EpochOrder, steps: int) -> tf.data.Dataset:
    """Batches of the examples in the order of each epoch.

    Args:
        parts: x, or x and y, or x, y and weights, each an array or a structure of arrays.
        order: whose `take` gives the row numbers of an epoch.
        steps: batches per epoch.

    Raises:
        ValueError: the arrays differ in length or are empty.
    """
    number_of_examples(parts)
    data: Any = keras.tree.map_structure(tf.convert_to_tensor, parts)

    def indices(_):
        taken = tf.numpy_function(order.take, [], tf.int64)
        taken = tf.ensure_shape(taken, [None])
        return tf.data.Dataset.from_tensor_slices(taken).batch(order.batch_size)

    def gather(places) -> Any:
        return keras.tree.map_structure(lambda array: tf.gather(array, places), data)

    dataset: Any = tf.data.Dataset.range(1).flat_map(indices)
    dataset = dataset.map(gather if len(parts) > 1 else lambda places: gather(places)[0])
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    options = tf.data.Options()
    # The Python counter is the one piece of state, and it may be shared by copies of the graph.
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    dataset = dataset.with_options(options).prefetch(tf.data.AUTOTUNE)
    dataset.epoch_order = order
    return dataset


def number_of_examples(parts: Any) -> int:
    """Return how many there are; raise a ValueError if the arrays differ, or hold none."""
    lengths = {len(array) for array in keras.tree.flatten(parts)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "x, y and sample_weight must hold the same number of examples, at least one; they "
            f"hold {sorted(lengths)}."
        )
    return lengths.pop()
