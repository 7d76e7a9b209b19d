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
        costs: float32 `[N, K]`, what each label costs an example, or None.
        group: float32 `[N]`, the number of each example's group, or None.
    """

    x: Any
    y: np.ndarray
    weight: np.ndarray | None = None
    costs: np.ndarray | None = None
    group: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """`(x, y)`, or `(x, y, weight)` where there are weights; y as a loss reads it."""
        y = beside(self.priced, self.group)
        return (self.x, y) if self.weight is None else (self.x, y, self.weight)

    @property
    def priced(self) -> np.ndarray:
        """The labels, and the costs behind them where there are any."""
        return beside(self.y, self.costs)

    def take(self, rows: Any) -> Rows:
        """These rows, in this order."""
        taken = {name: array[rows] for name, array in vars(self).items() if array is not None}
        return dataclasses.replace(self, **taken)

    def without(self, chosen: np.ndarray, least: int) -> tuple[Rows, Rows | None]:
        """The other rows, and the chosen ones; all of them and None if these are too few.

        Args:
            chosen: row numbers.
            least: how many are enough.

        >>> rows = Rows(np.eye(3), np.arange(3))
        >>> [part.y.tolist() for part in rows.without(np.array([1]), 1)]
        [[0, 2], [1]]
        """
        if len(chosen) < least:
            return self, None
        rest = np.setdiff1d(np.arange(len(self)), chosen)
        return self.take(rest), self.take(chosen)


def beside(y: np.ndarray, more: np.ndarray | None) -> np.ndarray:
    """Columns y, and more behind them, float32.

    >>> beside(np.array([0, 1]), np.array([[2.0, 3.0], [4.0, 5.0]])).tolist()
    [[0.0, 2.0, 3.0], [1.0, 4.0, 5.0]]
    """
    return y if more is None else np.column_stack([y, more]).astype(np.float32)


def as_dense(x: Any) -> np.ndarray:
    """A sparse matrix as an array; an array as it is."""
    return x.toarray() if scipy.sparse.issparse(x) else x


def as_rows(
    x: Any,
    y: np.ndarray,
    weight: np.ndarray | None,
    merge: bool = False,
    costs: np.ndarray | None = None,
    group: np.ndarray | None = None,
) -> Rows:
    """Rows without those of weight 0, and without weights where all weigh the same.

    Args:
        x: float32 `[N, F]`, a numpy array or a CSR matrix.
        y: labels `[N]` or `[N, L]`.
        weight: `[N]`, not negative, or None.
        costs: `[N, K]`, or None.
        group: `[N]`, or None.
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
    rows = Rows(x, y.astype(np.float32), weight, costs, group)
    if weight is not None and not (weight > 0.0).all():
        rows = rows.take(np.flatnonzero(weight > 0.0))
    rows = _merged(rows) if merge else rows
    weight = rows.weight
    if weight is None or weight.min(initial=np.inf) >= weight.max(initial=0.0):
        return dataclasses.replace(rows, weight=None)
    # A common scale changes no reward; near 1 it is also far from the ends of float32.
    return dataclasses.replace(rows, weight=(weight / weight.mean()).astype(np.float32))


def _merged(rows):
    x = as_dense(rows.x)
    table = np.hstack([x, rows.arrays[1].reshape(len(x), -1)])
    _, first, inverse = np.unique(table, axis=0, return_index=True, return_inverse=True)
    weight = np.bincount(inverse.ravel(), rows.weight).astype(np.float64)
    return dataclasses.replace(dataclasses.replace(rows, x=x).take(first), weight=weight)
