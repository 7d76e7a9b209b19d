"""Batches with a floor on every class, and the weights that undo it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.training.shuffling import EpochOrder, ordered_batches


class BalancedOrder(EpochOrder):
    """Rows of an epoch's batches: of each class a fixed number in every batch.

    Args:
        strata: class of each example, int `[N]`, 0 ... K-1.
        per_batch: examples of each class in a batch, `[K]`.
        seed: of the orders.
    """

    def __init__(self, strata: np.ndarray, per_batch: np.ndarray, seed: int):
        super().__init__(len(strata), int(per_batch.sum()), seed)
        self.rows = [np.flatnonzero(strata == k) for k in range(len(per_batch))]
        self.per_batch = per_batch
        self.steps = -(-len(strata) // self.batch_size)

    def take(self) -> np.ndarray:
        """The rows of the present epoch's batches, int64 `[steps * batch_size]`."""
        draw = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        parts = [
            _passes(rows, self.steps * count, draw).reshape(self.steps, count)
            for rows, count in zip(self.rows, self.per_batch, strict=True)
        ]
        return draw.permuted(np.concatenate(parts, axis=1), axis=1).ravel()


def _passes(rows, count, draw):
    """So many rows: each once in random order before any comes again."""
    passes = -(-count // len(rows))
    return np.concatenate([draw.permutation(rows) for _ in range(passes)])[:count]


def balanced_batches(
    x: Any,
    y: Any,
    *,
    batch_size: int,
    at_least: int | None = None,
    strata: Any = None,
    weighted: bool = True,
    seed: int = 0,
) -> tf.data.Dataset:
    """Batches for `fit(..., shuffle=False)` that hold at least so many examples of every class.

    Every batch has the same number n_k of examples of class k: its share of the batch, but no fewer
    than the floor; the classes above the floor make room for that, in proportion. With N_k of N
    examples in class k the batch of B gets the importance weights

        w_k = (N_k / N) / (n_k / B)

    whose mean is 1, and which enter the counts of `PolicyGradientLoss` and `RewardMetric`: the
    weighted classes of every batch are in the data's own proportions, so that the metric of the
    data as they are is what is trained, with less noise. Within a class every example comes once
    before any comes again.

    Args:
        x: an array of N examples, or a list, tuple or dictionary of such arrays.
        y: the truth, likewise.
        batch_size: examples per batch, all of that size.
        at_least: the floor; None for `batch_size // (4 K)`, at least 1. `batch_size // K` makes
            all classes alike in number.
        strata: the classes to balance, whole numbers `[N]` from 0, where y is something else
            (one-hot rows, target values, label columns); None takes y.
        weighted: False leaves the weights out: the network is then trained for data in which the
            classes are as frequent as in the batches.
        seed: 0 or more.

    Returns:
        A `tf.data.Dataset` of `(x, y, sample_weight)`, or `(x, y)`; an epoch has as many batches
        as N examples make. Its attribute `epoch_order` is as that of `shuffled_batches`.

    Raises:
        ValueError: the classes are no whole numbers from 0 or one of them is empty; the floor does
            not fit into the batch; the arrays differ in length.

    >>> import numpy as np, policygrad_metrics as pgm
    >>> y = np.array([0] * 18 + [1] * 2)
    >>> batches = pgm.training.balanced_batches(y, y, batch_size=5, at_least=2)
    >>> x, labels, weight = next(iter(batches))
    >>> sorted(zip(labels.numpy().tolist(), weight.numpy().round(2).tolist()))
    [(0, 1.5), (0, 1.5), (0, 1.5), (1, 0.25), (1, 0.25)]
    """
    classes = _strata(y if strata is None else strata)
    counts = np.bincount(classes)
    per_batch = _per_batch(counts, batch_size, at_least)
    order = BalancedOrder(classes, per_batch, seed)
    weight = (counts / counts.sum()) / (per_batch / batch_size)
    parts = (x, y, weight[classes].astype(np.float32)) if weighted else (x, y)
    return ordered_batches(parts, order, order.steps)


def _strata(values):
    classes = np.asarray(values)
    whole = classes.dtype.kind in "iub" or (
        classes.dtype.kind == "f" and (classes == np.round(classes)).all()
    )
    if classes.ndim != 1 or not len(classes) or not whole or classes.min() < 0:
        raise ValueError(
            "the classes to balance must be whole numbers [N] from 0; they have dtype "
            f"{classes.dtype} and shape {classes.shape}. Give strata= where y is something else."
        )
    classes = classes.astype(np.int64)
    empty = np.flatnonzero(np.bincount(classes) == 0)
    if len(empty):
        raise ValueError(
            f"classes {empty[:8].tolist()} have no example, so no batch can hold one: number the "
            "classes that occur from 0, or leave those out of strata=."
        )
    return classes


def _per_batch(counts, batch_size, at_least):
    """Examples of each class in a batch: the floor, and shares of what is above it."""
    K = len(counts)
    if isinstance(batch_size, bool) or int(batch_size) != batch_size or batch_size < K:
        raise ValueError(
            f"batch_size must be a whole number, {K} or more for {K} classes; it is {batch_size!r}."
        )
    floor = max(1, batch_size // (4 * K)) if at_least is None else at_least
    if int(floor) != floor or not 1 <= floor <= batch_size // K:
        raise ValueError(
            f"at_least must be a whole number from 1 to {batch_size // K}, so that {K} classes fit "
            f"into a batch of {batch_size}; it is {at_least!r}."
        )
    # Classes whose share is below the floor get the floor; the rest share what is left.
    wanted = np.zeros(K)
    floored = np.zeros(K, bool)
    while True:
        left = batch_size - floor * floored.sum()
        wanted = np.where(floored, floor, left * counts / max(1, counts[~floored].sum()))
        below = ~floored & (wanted < floor)
        if not below.any():
            break
        floored |= below
    rounded = np.floor(wanted).astype(int)
    rest = np.argsort(rounded - wanted, kind="stable")[: batch_size - rounded.sum()]
    rounded[rest] += 1
    return rounded
