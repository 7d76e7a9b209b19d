"""Hierarchical F: how much of the path to the right class a label shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.rewards.base import ConfusionReward
from policygrad_metrics.rewards.bound import ChoiceRatio
from policygrad_metrics.rewards.confusion import ratio

KINDS = ("f", "precision", "recall")


@dataclasses.dataclass(frozen=True)
class HierarchicalF(ConfusionReward):
    """Hierarchical F-beta, precision or recall of classes in a tree (Kiritchenko et al. 2005).

        hP = sum_i |A(a_i) & A(y_i)| / sum_i |A(a_i)|     hR = the same / sum_i |A(y_i)|
        hF = (1 + beta^2) hP hR / (beta^2 hP + hR)

    A(k) is class k with all its ancestors, but the root, which all share (micro-averaged). All
    three are one ratio of sums over examples, so their expectations are exact.

    Args:
        ancestors: for each of the K classes the numbers or names of its ancestors without the
            root, in any order. Inner nodes that are no class may be among them; a class counts
            itself.
        kind: "f", "precision" or "recall".
        beta: weight of recall against precision, positive.

    Raises:
        ValueError: kind or beta is another, or there are not K rows.

    A dog (0) and a cat (1) are mammals, a frog (2) is none:

    >>> import policygrad_metrics as pgm
    >>> reward = pgm.rewards.HierarchicalF([["mammal"], ["mammal"], []])
    >>> y_true, y_pred = [0, 0, 2], [0, 1, 2]  # shared: 2, 1 and 1 of 2, 2 and 1 nodes
    >>> float(reward(y_true, y_pred))
    0.800000011920929
    """

    ancestors: tuple[tuple[Any, ...], ...]
    kind: str = "f"
    beta: float = 1.0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}; it is {self.kind!r}.")
        if not 0.0 < self.beta < float("inf"):
            raise ValueError(f"beta must be a positive, finite number; it is {self.beta!r}.")
        rows = self.ancestors if isinstance(self.ancestors, Sequence) else [""]
        if not all(isinstance(row, Sequence) and not isinstance(row, str) for row in rows):
            raise ValueError(
                "ancestors must hold a list for each class, [] for one below the root: "
                f"[['mammal'], ['mammal'], []]; it is {self.ancestors!r}."
            )
        object.__setattr__(self, "ancestors", tuple(map(tuple, self.ancestors)))

    @property
    def name(self):
        if self.kind != "f":
            return f"hierarchical_{self.kind}"
        return f"hierarchical_f{self.beta:g}"

    @property
    def uses_order(self):
        return True  # rows are of classes by number

    def shared(self, num_classes: int) -> np.ndarray:
        """How many nodes two classes share, `[K, K]`; on the diagonal those of one class."""
        if len(self.ancestors) != num_classes:
            raise ValueError(
                f"ancestors has rows for {len(self.ancestors)} classes, and there are "
                f"{num_classes}: give one row for each, [] for a class below the root."
            )
        paths = [{k, *above} for k, above in enumerate(self.ancestors)]
        return np.array([[len(one & other) for other in paths] for one in paths], np.float64)

    def _tables(self, num_classes):
        """What a label adds to the numerator, by truth, and to the denominator; what a truth adds.

        hF = (1 + beta^2) shared / (beta^2 |A(y)| + |A(a)|).
        """
        shared = self.shared(num_classes)
        size = shared.diagonal()
        if self.kind == "precision":
            return shared, size, 0.0 * size
        if self.kind == "recall":
            return shared, 0.0 * size, size
        return (1.0 + self.beta**2) * shared, size, self.beta**2 * size

    def of_counts(self, confusion):
        self.refuse_multilabel()
        n, called, true = self._tables(confusion.shape[-1])
        d = called + true[:, None]
        n, d = (tf.reduce_sum(confusion * tf.constant(x), axis=[-2, -1]) for x in (n, d))
        return ratio(n, d)

    def bind(self, batch):
        self.refuse_multilabel()
        n, called, true = (tf.constant(x, tf.float32) for x in self._tables(batch.num_classes))
        weight, y_true = batch.weight, batch.y_true[:, 0]
        return ChoiceRatio(
            n=weight * tf.gather(n, y_true),
            d=weight * (called + tf.gather(true, y_true)[:, None]),
            n0=0.0,
            d0=0.0,
            zero_division=0.0,
            count_unit=None if batch.weighted or self.beta**2 % 1.0 else 1.0,
            d0_positive=False,
        )
