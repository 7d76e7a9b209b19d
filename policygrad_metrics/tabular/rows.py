"""Examples: merged, and without weights where all weigh the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

#: Numbers of a dense block that is made of sparse rows at one time.
BLOCK = 2**24


@dataclasses.dataclass(frozen=True)
class Rows:
    """Examples as a network reads them.

    Args:
        x: float32 `[N, F]`, a numpy array or a CSR matrix.
        y: labels as float32, `[N]` or `[N, L]`.
        weight: float32 `[N]`, or None where all weigh the same.
    """

    x: Any
    y: np.ndarray
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """`(x, y)`, or `(x, y, weight)` where there are weights."""
        return (self.x, self.y) if self.weight is None else (self.x, self.y, self.weight)

    def take(self, rows: Any) -> Rows:
        """These rows, in this order."""
        return Rows(*(array[rows] for array in self.arrays))


def as_dense(x: Any) -> np.ndarray:
    """A sparse matrix as an array; an array as it is."""
    return x.toarray() if scipy.sparse.issparse(x) else x


def as_rows(x: Any, y: np.ndarray, weight: np.ndarray | None, merge: bool = False) -> Rows:
    """Rows without those of weight 0, and without weights where all weigh the same.

    Args:
        x: float32 `[N, F]`, a numpy array or a CSR matrix.
        y: labels `[N]` or `[N, L]`.
        weight: `[N]`, not negative, or None.
        merge: make rows of the same features and target one, which weighs as much as they all,
            and sort. What is fitted on all rows at once then depends neither on their order nor
            on whether an example is written down twice or weighs 2. (Without merging, two copies
            would be given two independent labels by the policy, one of weight 2 a single one.)

    >>> rows = as_rows(np.eye(3), np.arange(3), np.array([2.0, 0.0, 2.0]))
    >>> rows.y.tolist(), rows.weight
    ([0.0, 2.0], None)
    >>> rows = as_rows(np.array([[1.0], [0.0], [1.0]]), np.array([1, 0, 1]), None, merge=True)
    >>> rows.x.ravel().tolist(), rows.weight.tolist()
    ([0.0, 1.0], [0.6666..., 1.3333...])
    """
    y = y.astype(np.float32)
    if weight is not None:
        kept = np.flatnonzero(weight > 0.0)
        if len(kept) < len(y):
            x, y, weight = x[kept], y[kept], weight[kept]
    if merge:
        x, y, weight = _merged(as_dense(x), y, weight)
    if weight is None or weight.min(initial=np.inf) >= weight.max(initial=0.0):
        return Rows(x, y)
    # A common scale changes no reward; near 1 it is also far from the ends of float32.
    return Rows(x, y, (weight / weight.mean()).astype(np.float32))


def _merged(x, y, weight):
    table = np.hstack([x, y.reshape(len(y), -1)])
    unique, inverse = np.unique(table, axis=0, return_inverse=True)
    weight = np.bincount(inverse.ravel(), weight).astype(np.float64)
    features = x.shape[1]
    return unique[:, :features], unique[:, features:].reshape(-1, *y.shape[1:]), weight
