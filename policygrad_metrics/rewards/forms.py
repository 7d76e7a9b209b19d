"""The forms a reward takes once truth and weights are known.

A `Reward` says *what* is scored; a *form* holds the tables of one batch and scores label sets.
What a form can do decides which estimator serves it:

    Opaque            score                        -> REINFORCE
    Counts, ClassCounts
                      score, effects               -> local expectation
    Linear, Matches, IndicatorRatios, ChoiceRatio
                      score, effects, and tables   -> exact expectation (`expectation.py`)

`score(labels [S, N, C]) -> [S]`, from sums in float64.
`effects(labels [S, N, C]) -> [S, N, C, K]`: the reward if only this site's label were c, up to
a constant per site (a policy gradient is blind to such a constant).
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf

from policygrad_metrics.core.blocks import slice_rows
from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.core.sites import Tensor
from policygrad_metrics.rewards.confusion import ratio

#: Counts of so many sites are exact in float32.
EXACT = 2**24

Layout = Literal["classes", "columns", "pooled", "rows"]


class Form(abc.ABC):
    """One batch's reward as a function of label sets."""

    @abc.abstractmethod
    def score(self, labels: Tensor) -> Tensor:
        """Rewards `[S]` of the label sets `[S, N, C]`."""


class StructuredForm(Form):
    """A form that also knows what changing one label does."""

    @abc.abstractmethod
    def effects(self, labels: Tensor) -> Tensor:
        """Rewards `[S, N, C, K]` with one site relabelled, up to a constant per site."""

    def soft_score(self, choices: Tensor) -> Tensor:
        """The float32 score `[S]` of soft labels `[S, N, C, K]`: at one-hot choices it is `score`.

        It is computed in the type of the choices.
        """
        raise TypeError(f"{type(self).__name__} has no score of soft labels.")


@dataclasses.dataclass(frozen=True)
class Linear(StructuredForm):
    """R = constant + sum_i gains[i, a_i].

    Args:
        gains: `[N, C, K]`, weights and normalisation included.
        constant: scalar.
    """

    gains: Tensor
    constant: Tensor | float = 0.0

    def score(self, labels):
        return self.soft_score(tf.one_hot(labels, self.gains.shape[-1], dtype=tf.float64))

    def soft_score(self, choices):
        gains = tf.cast(self.gains, choices.dtype)
        total = over_replicas(tf.reduce_sum(choices * gains, axis=[1, 2, 3]))
        return self.constant + tf.cast(total, tf.float32)

    def effects(self, labels):
        return tf.broadcast_to(
            self.gains, tf.concat([tf.shape(labels)[:1], tf.shape(self.gains)], 0)
        )


@dataclasses.dataclass(frozen=True)
class Matches(StructuredForm):
    """R = sum_n share[n] * prod_c [a_nc = y_nc]: whole rows that are right (multi-label).

    Args:
        y_true: int32 `[N, C]`.
        share: `[N]`, each example's weight over the total.
    """

    y_true: Tensor
    share: Tensor

    def score(self, labels):
        return self.soft_score(tf.one_hot(labels, 2, dtype=tf.float64))

    def soft_score(self, choices):
        share = tf.cast(self.share, choices.dtype)
        right = tf.reduce_sum(choices * tf.one_hot(self.y_true, 2, dtype=choices.dtype), axis=-1)
        total = over_replicas(tf.reduce_sum(share * tf.reduce_prod(right, axis=2), axis=1))
        return tf.cast(total, tf.float32)

    def effects(self, labels):
        wrong = tf.cast(labels != self.y_true, tf.float32)
        others_wrong = tf.reduce_sum(wrong, axis=2, keepdims=True) - wrong
        gain = tf.where(others_wrong < 0.5, self.share[None, :, None], 0.0)
        return tf.expand_dims(gain, axis=-1) * tf.one_hot(self.y_true, 2)


@dataclasses.dataclass(frozen=True)
class IndicatorRatios(StructuredForm):
    """A sum of ratios, each of which sees a site only through "is it labelled positive".

    R = constant + sum_r coefficient[r] * (sum_i n[i, r] b[i, r]) / (d0[r] + sum_i d[i, r] b[i, r])

    with b[i, r] = [a_i is positive for ratio r]; a ratio whose denominator is zero counts as
    `zero_division`. Every F, Jaccard and precision is of this form. It costs B * K, not B * K^2.

    Args:
        layout: which sites and classes ratio r sees: "classes" (r runs over `classes`, one
            label column), "columns" (r runs over label columns), "pooled" (one ratio over all
            columns), "rows" (r runs over examples and sums over their columns).
        classes: the class of each ratio, for the layout "classes".
        num_classes: K.
        n, d: broadcastable to `[M, R]`, not negative.
        d0: `[R]`, not negative.
        coefficient: `[R]`; constant: scalar.
        zero_division: the value of 0/0.
        lattice: a unit of which every d and d0 is a whole multiple, or None if there is none
            (as with weights); the exact expectation is then integrated with more nodes.
        offset: True if d0 is positive wherever n is not zero.
        rows: `(start, size)` to these rows of n and d, where they can be made from the truth: for
            batches so large that the tables should never exist as a whole.
    """

    layout: Layout
    classes: tuple[int, ...]
    num_classes: int
    n: Tensor
    d: Tensor
    d0: Tensor
    coefficient: Tensor
    constant: Tensor | float
    zero_division: float
    lattice: float | None
    offset: bool
    rows: Callable[[Tensor, int], tuple[Tensor, Tensor]] | None = None

    def block(self, start: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Rows of n and d, one site each."""
        return block_of(self, start, size)

    def positive(self, x: Tensor) -> Tensor:
        """Take `[..., N, C, K]` (probabilities, one-hot labels) to its positives `[..., M, R]`."""
        if self.layout == "classes":
            if self.classes == tuple(range(self.num_classes)):
                return x[..., 0, :]
            return tf.gather(x[..., 0, :], self.classes, axis=-1)
        return self.arrange(x[..., 1])

    def over_sites(self, sums: Any) -> Any:
        """Sums over a ratio's sites on this replica, completed by the other replicas' sites."""
        return sums if self.layout == "rows" else over_replicas(sums)

    def over_ratios(self, x: Tensor) -> Tensor:
        """Sum x `[..., R]` over the ratios."""
        total = tf.reduce_sum(x, axis=-1)
        return over_replicas(total) if self.layout == "rows" else total

    def arrange(self, x: Tensor) -> Tensor:
        """Take `[..., N, C]` to `[..., M, R]` in the layouts that read label columns."""
        if self.layout == "rows":
            return tf.linalg.matrix_transpose(x)
        if self.layout == "pooled":
            return tf.reshape(x, tf.concat([tf.shape(x)[:-2], [-1, 1]], axis=0))
        return x

    def spread(self, x: Tensor, columns: int) -> Tensor:
        """The way back: effects `[..., M, R]` of being positive to effects `[..., N, C, K]`."""
        if self.layout == "classes":
            if self.classes != tuple(range(self.num_classes)):
                x = x @ tf.one_hot(self.classes, self.num_classes)
            return tf.expand_dims(x, axis=-2)
        if self.layout == "rows":
            x = tf.linalg.matrix_transpose(x)
        elif self.layout == "pooled":
            x = tf.reshape(x, tf.concat([tf.shape(x)[:-2], [-1, columns]], axis=0))
        return tf.stack([tf.zeros_like(x), x], axis=-1)

    def score(self, labels):
        return self.soft_score(tf.one_hot(labels, self.num_classes, dtype=self._dtype(labels)))

    def soft_score(self, choices):
        n, d = self._sums(self.positive(choices))
        scores = tf.cast(ratio(n, d, self.zero_division), tf.float32)
        return self.constant + self.over_ratios(self.coefficient * scores)

    def effects(self, labels):
        dtype = self._dtype(labels)
        b = self.positive(tf.one_hot(labels, self.num_classes, dtype=dtype))
        n, d = (tf.cast(x, dtype) for x in (self.n, self.d))
        N, D = (x[:, None, :] for x in self._sums(b))
        N, D = N - n * b, D - d * b  # of all other sites
        # (N + n) / (D + d) - N / D, as one fraction.
        effect = (n * D - d * N) / tf.where(D > 0.0, D * (D + d), 1.0)
        if not self.offset or self.zero_division:
            first = tf.where(d > 0.0, ratio(n, d) - self.zero_division, 0.0)
            effect = tf.where(D > 0.0, effect, first)
        effect = tf.cast(effect, tf.float32)
        return self.spread(self.coefficient * effect, labels.shape[-1])

    def _dtype(self, labels):
        # A float32 sum of weights would lose the small ones; whole numbers it adds up exactly.
        few = labels.shape[1] is None or labels.shape[1] * labels.shape[2] <= EXACT
        return tf.float32 if self.lattice and few else tf.float64

    def _sums(self, b):
        n, d = (tf.reduce_sum(tf.cast(x, b.dtype) * b, axis=1) for x in (self.n, self.d))
        n, d = self.over_sites([n, d])
        return n, tf.cast(self.d0, b.dtype) + d


def block_of(form: IndicatorRatios | ChoiceRatio, start: Tensor, size: int):
    """Rows of n and d: made from the truth where the form knows how, else cut out."""
    if form.rows is not None:
        return form.rows(start, size)
    return slice_rows(form.n, start, size), slice_rows(form.d, start, size)


@dataclasses.dataclass(frozen=True)
class ChoiceRatio(StructuredForm):
    """One ratio whose terms depend on the whole choice: kappa, micro averages over some labels.

    R = constant + coefficient * (n0 + sum_i n[i, a_i]) / (d0 + sum_i d[i, a_i])

    Args:
        n, d: broadcastable to `[M, K]` where M = N * C; d not negative.
        n0, d0: scalars, d0 not negative.
        zero_division: the value wherever the denominator is 0.
        lattice, offset, rows: as for `IndicatorRatios`.
        vanishes: whether the numerator is 0 wherever the denominator is.
    """

    n: Tensor
    d: Tensor
    n0: Tensor | float
    d0: Tensor | float
    coefficient: float
    constant: float
    zero_division: float
    lattice: float | None
    offset: bool
    rows: Callable[[Tensor, int], tuple[Tensor, Tensor]] | None = None
    vanishes: bool = True

    def block(self, start: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Rows of n and d, one site each."""
        return block_of(self, start, size)

    def score(self, labels):
        return self.soft_score(self._choices(labels))

    def soft_score(self, choices):
        n, d = self._sums(tf.reshape(choices, [tf.shape(choices)[0], -1, choices.shape[-1]]))
        score = tf.cast(ratio(n, d, self.zero_division), tf.float32)
        return self.constant + self.coefficient * score

    def effects(self, labels):
        choices = self._choices(labels)
        N, D = (x[:, None, None] for x in self._sums(choices))
        now = ratio(N, D, self.zero_division)
        n, d = (tf.cast(x, choices.dtype) for x in (self.n, self.d))
        N -= tf.reduce_sum(n * choices, axis=-1, keepdims=True)  # of all other sites
        D -= tf.reduce_sum(d * choices, axis=-1, keepdims=True)
        gain = tf.cast(ratio(N + n, D + d, self.zero_division) - now, tf.float32)
        return tf.reshape(
            self.coefficient * gain, tf.concat([tf.shape(labels), [gain.shape[-1]]], axis=0)
        )

    def _choices(self, labels):
        flat = tf.reshape(labels, [tf.shape(labels)[0], -1])
        return tf.one_hot(flat, max(self.n.shape[-1], self.d.shape[-1]), dtype=tf.float64)

    def _sums(self, choices):
        n, d = over_replicas(
            [tf.reduce_sum(tf.cast(x, choices.dtype) * choices, [1, 2]) for x in (self.n, self.d)]
        )
        return tf.cast(self.n0, choices.dtype) + n, tf.cast(self.d0, choices.dtype) + d


@dataclasses.dataclass(frozen=True)
class Opaque(Form):
    """R = any function; nothing is known but its values.

    Args:
        function: `labels [S, N, C] -> [S]`.
    """

    function: Callable[[Tensor], Tensor]

    def score(self, labels):
        return self.function(labels)
