"""The order of the examples, as a function of seed and epoch, and examples held out."""

from __future__ import annotations

from typing import Any

import numpy as np


def permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of an epoch, int64 `[count]`.

    >>> sorted(permutation(seed=0, epoch=2, count=5).tolist())
    [0, 1, 2, 3, 4]
    """
    return np.random.default_rng([seed, epoch]).permutation(count)


def filled_batches(seed: int, epoch: int, count: int, batches: int, rows: int) -> np.ndarray:
    """Row numbers int32 `[batches, rows]` of an epoch.

    What the examples do not fill is filled from the order's start.

    >>> order = filled_batches(seed=0, epoch=2, count=5, batches=2, rows=3)
    >>> sorted(order.ravel()[:5].tolist()), bool(order.ravel()[5] == order[0, 0])
    ([0, 1, 2, 3, 4], True)
    """
    return np.resize(permutation(seed, epoch, count).astype(np.int32), (batches, rows))


def stratified_batches(
    strata: np.ndarray, batch_size: int | None, seed: int, epoch: int
) -> np.ndarray:
    """Row numbers int32 `[steps, B]` of an epoch, in batches that hold each class in its share.

    N rows make ceil(N / batch_size) equal batches; fewer rows than there are batches are left
    out, others each time. A batch holds each class in its share, to within one, because a reward
    is scored on the batch. A single batch holds all rows in order.

    Args:
        strata: the classes `[N]`, or label columns `[N, L]` (then plainly at random).
        batch_size: None for one batch.
        seed: with `epoch`, of the order.
        epoch: see `seed`.

    >>> stratified_batches(np.repeat([0.0, 1.0], [7, 3]), 5, seed=0, epoch=0).shape
    (2, 5)
    >>> stratified_batches(np.zeros(3), None, seed=0, epoch=0).tolist()
    [[0, 1, 2]]
    """
    N = len(strata)
    steps = 1 if batch_size is None else -(-N // batch_size)
    if steps == 1:
        return np.arange(N, dtype=np.int32)[None]
    order = permutation(seed, epoch, N)[: steps * (N // steps)]
    if strata.ndim == 1:
        order = order[np.argsort(strata[order], kind="stable")]
    return order.reshape(-1, steps).T.astype(np.int32)


def hold_out(strata: np.ndarray, share: float, seed: Any) -> np.ndarray:
    """Row numbers of a validation part that holds each class in its share, to within one.

    Of classes `[N]` those of a single row, and so of none to spare, stay where they are; by hand,
    as scikit-learn's `StratifiedShuffleSplit` refuses such classes.

    Args:
        strata: classes `[N]`; or several numbers for each row `[N, ...]`, of which the rows with
            the same first 16 are spread evenly.
        share: of the rows.
        seed: whatever `numpy.random.default_rng` takes.

    >>> y = np.repeat([0, 1, 2], [80, 19, 1])
    >>> rows = hold_out(y, 0.1, seed=0)
    >>> len(rows), 2 in y[rows]
    (10, False)
    """
    draw = np.random.default_rng(seed)
    keys = strata.reshape(len(strata), -1)[:, :16]
    order = draw.permutation(len(keys))
    if strata.ndim == 1:
        _, inverse, counts = np.unique(strata, return_inverse=True, return_counts=True)
        order = order[counts[inverse[order]] > 1]
    order = order[np.lexsort(keys[order].T)]
    # Every (1 / share)-th of the rows sorted by class.
    number = round(share * len(order))
    places = (np.arange(number) + draw.uniform()) * (len(order) / max(number, 1))
    return np.sort(order[places.astype(int)])
