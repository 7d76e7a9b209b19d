"""Bound rewards: what a reward becomes once the truth and the weights of a batch are known.

A `Reward` says *what* is scored. `reward.bind(batch)` gives a bound reward, which holds the tables
of that batch and scores label sets of it. What it can do decides which estimator serves it:

    Opaque            score                                -> REINFORCE
    Counts, ClassCounts
                      score, marginal_rewards              -> local expectation
    Linear, Matches, IndicatorRatios, ChoiceRatio
                      score, marginal_rewards, and tables  -> exact expectation (`exact.py`)

`score(samples [S, N, C]) -> [S]`, from sums in float64.
`marginal_rewards(samples [S, N, C]) -> [S, N, C, K]`: the reward if only this site's label were
c, up to a constant per site (a policy gradient is blind to such a constant).
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.core.sums import slice_rows
from policygrad_metrics.rewards.confusion import ratio

#: Counts of so many sites are exact in float32.
EXACT = 2**24

Layout = Literal["classes", "columns", "pooled", "rows"]


class BoundReward(abc.ABC):
    """The reward of one batch as a function of label sets."""

    #: Whether `marginal_rewards` is known.
    has_marginal_rewards = True
    #: Whether it is a function of the confusion counts (`ConfusionForm`), with a second derivative.
    reads_confusion = False
    #: Whether it is a function of the true and false positives of single classes, in whole numbers.
    has_count_distribution = False

    @abc.abstractmethod
    def score(self, samples: Tensor) -> Tensor:
        """Rewards `[S]` of the label sets `[S, N, C]`."""

    def marginal_rewards(self, samples: Tensor) -> Tensor:
        """Rewards `[S, N, C, K]` with one site relabelled, up to a constant per site."""
        raise TypeError(f"{type(self).__name__} does not know what one label changes.")

    def soft_score(self, choices: Tensor) -> Tensor:
        """The float32 score `[S]` of soft labels `[S, N, C, K]`: at one-hot choices it is `score`.

        It is computed in the type of the choices.
        """
        raise TypeError(f"{type(self).__name__} has no score of soft labels.")

    @property
    def has_soft_score(self) -> bool:
        """Whether soft labels can be scored, and so differentiated."""
        return type(self).soft_score is not BoundReward.soft_score

    def with_counts(self, counts: Tensor) -> BoundReward:
        """The same beside other examples, of which the confusion counts `[K, K]` are known.

        Known where `reads_confusion`; elsewhere these examples join the batch, and are `given`.
        """
        raise TypeError(f"{type(self).__name__} cannot be scored beside confusion counts.")

    def given(self, y_pred: Tensor) -> BoundReward:
        """The bound reward of the first examples, the last having the labels `[X, C]`."""
        raise TypeError(f"{type(self).__name__} cannot be scored beside confusion counts.")

    def of_labels(self, choices: tuple[int, ...]) -> BoundReward | None:
        """The bound reward of labels that count as one of these choices each; None if unknown."""
        return None


@dataclasses.dataclass(frozen=True)
class Linear(BoundReward):
    """R = constant + sum_i gains[i, a_i].

    Args:
        gains: `[N, C, K]`, weights and normalisation included.
        constant: scalar.
    """

    gains: Tensor
    constant: Tensor | float = 0.0

    def score(self, samples):
        return self.soft_score(tf.one_hot(samples, self.gains.shape[-1], dtype=tf.float64))

    def soft_score(self, choices):
        gains = tf.cast(self.gains, choices.dtype)
        total = over_replicas(tf.reduce_sum(choices * gains, axis=[1, 2, 3]))
        return self.constant + tf.cast(total, tf.float32)

    def marginal_rewards(self, samples):
        return tf.broadcast_to(
            self.gains, tf.concat([tf.shape(samples)[:1], tf.shape(self.gains)], 0)
        )

    def of_labels(self, choices):
        return Linear(tf.gather(self.gains, choices, axis=-1), self.constant)

    def given(self, y_pred):
        X, K = y_pred.shape[0], self.gains.shape[-1]
        settled = tf.reduce_sum(tf.one_hot(y_pred, K) * self.gains[-X:])
        return Linear(self.gains[:-X], self.constant + settled)


@dataclasses.dataclass(frozen=True)
class Matches(BoundReward):
    """R = sum_n share[n] * prod_c [a_nc = y_nc]: whole rows that are right (multi-label).

    Args:
        y_true: int32 `[N, C]`.
        share: `[N]`, each example's weight over the total.
    """

    y_true: Tensor
    share: Tensor

    def score(self, samples):
        return self.soft_score(tf.one_hot(samples, 2, dtype=tf.float64))

    def soft_score(self, choices):
        share = tf.cast(self.share, choices.dtype)
        right = tf.reduce_sum(choices * tf.one_hot(self.y_true, 2, dtype=choices.dtype), axis=-1)
        total = over_replicas(tf.reduce_sum(share * tf.reduce_prod(right, axis=2), axis=1))
        return tf.cast(total, tf.float32)

    def marginal_rewards(self, samples):
        wrong = tf.cast(samples != self.y_true, tf.float32)
        others_wrong = tf.reduce_sum(wrong, axis=2, keepdims=True) - wrong
        gain = tf.where(others_wrong < 0.5, self.share[None, :, None], 0.0)
        return tf.expand_dims(gain, axis=-1) * tf.one_hot(self.y_true, 2)


@dataclasses.dataclass(frozen=True)
class IndicatorRatios(BoundReward):
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
        count_unit: a unit of which every d and d0 is a whole multiple, or None if there is none
            (as with weights); the exact expectation is then integrated with more nodes.
        d0_positive: True if d0 is positive wherever n is not zero.
        rows: `(start, size)` to these rows of n and d, where they can be made from the truth: for
            batches so large that the tables should never exist as a whole.
        mask: `[M, 1]`, 0 for sites that count for nothing and have no row of zeros in n and d.
    """

    layout: Layout
    classes: tuple[int, ...]
    num_classes: int
    n: Tensor
    d: Tensor
    d0: Tensor
    coefficient: Tensor
    zero_division: float
    count_unit: float | None
    d0_positive: bool
    constant: Tensor | float = 0.0
    rows: Callable[[Tensor, int], tuple[Tensor, Tensor]] | None = None
    mask: Tensor | None = None

    def block(self, start: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Rows of n and d, one site each."""
        return block_of(self, start, size)

    def positive(self, x: Tensor) -> Tensor:
        """Take `[..., N, C, K]` (probabilities, one-hot labels) to its positives `[..., M, R]`."""
        if self.layout == "classes":
            if self.classes == tuple(range(self.num_classes)):
                return x[..., 0, :]
            return tf.gather(x[..., 0, :], self.classes, axis=-1)
        return arranged(x[..., 1], self.layout)

    def over_sites(self, sums: Any) -> Any:
        """Sums over a ratio's sites on this replica, completed by the other replicas' sites."""
        return sums if self.layout == "rows" else over_replicas(sums)

    def over_ratios(self, x: Tensor) -> Tensor:
        """Sum x `[..., R]` over the ratios."""
        total = tf.reduce_sum(x, axis=-1)
        return over_replicas(total) if self.layout == "rows" else total

    def spread(self, x: Tensor, columns: int) -> Tensor:
        """The way back: what being positive changes, `[..., M, R]`, as marginal rewards."""
        if self.layout == "classes":
            if self.classes != tuple(range(self.num_classes)):
                x = x @ tf.one_hot(self.classes, self.num_classes)
            return tf.expand_dims(x, axis=-2)
        if self.layout == "rows":
            x = tf.linalg.matrix_transpose(x)
        elif self.layout == "pooled":
            x = tf.reshape(x, tf.concat([tf.shape(x)[:-2], [-1, columns]], axis=0))
        return tf.stack([tf.zeros_like(x), x], axis=-1)

    def score(self, samples):
        return self.soft_score(tf.one_hot(samples, self.num_classes, dtype=self._dtype(samples)))

    def soft_score(self, choices):
        n, d = self._sums(self.positive(choices))
        scores = tf.cast(ratio(n, d, self.zero_division), tf.float32)
        return self.constant + self.over_ratios(self.coefficient * scores)

    def marginal_rewards(self, samples):
        dtype = self._dtype(samples)
        b = self.positive(tf.one_hot(samples, self.num_classes, dtype=dtype))
        n, d = (tf.cast(x, dtype) for x in (self.n, self.d))
        N, D = (x[:, None, :] for x in self._sums(b))
        N, D = N - n * b, D - d * b  # of all other sites
        # (N + n) / (D + d) - N / D, as one fraction.
        effect = (n * D - d * N) / tf.where(D > 0.0, D * (D + d), 1.0)
        if not self.d0_positive or self.zero_division:
            first = tf.where(d > 0.0, ratio(n, d) - self.zero_division, 0.0)
            effect = tf.where(D > 0.0, effect, first)
        effect = tf.cast(effect, tf.float32)
        return self.spread(self.coefficient * effect, samples.shape[-1])

    def of_labels(self, choices):
        if self.classes != (1,):
            return None
        positive = tf.constant([choices], tf.float32)

        def read(n, d, mask):
            counted = positive if mask is None else mask * positive
            return n * counted, d * counted

        def rows(start, size):
            mask = None if self.mask is None else slice_rows(self.mask, start, size)
            return read(*self.block(start, size), mask)

        how = self.zero_division, self.count_unit, self.d0_positive, rows
        return ChoiceRatio(*read(self.n, self.d, self.mask), 0.0, self.d0[0], *how)

    def given(self, y_pred):
        b = self.positive(tf.one_hot(y_pred, self.num_classes))
        n, n0 = _settled(self.n, b)
        d, d0 = _settled(self.d, b)
        d0 += self.d0
        # (n0 + N) / (d0 + D) = r + (N - r D) / (d0 + D) with r = n0 / d0.
        share = tf.math.divide_no_nan(n0, d0)
        constant = self.constant + tf.reduce_sum(self.coefficient * share)
        n = n - share * d
        return dataclasses.replace(self, n=n, d=d, rows=None, d0=d0, constant=constant)

    def linear(self, columns: int) -> Linear:
        """The same where no label changes a denominator: a sum over sites."""
        gains = self.coefficient * tf.math.divide_no_nan(self.n, self.d0)
        empty = tf.where(self.d0 > 0.0, 0.0, self.coefficient * self.zero_division)
        return Linear(self.spread(gains, columns), tf.reduce_sum(empty))

    def _dtype(self, samples):
        # A float32 sum of weights would lose the small ones; whole numbers it adds up exactly.
        few = samples.shape[1] is None or samples.shape[1] * samples.shape[2] <= EXACT
        return tf.float32 if self.count_unit and few else tf.float64

    def _sums(self, b):
        n, d = (tf.reduce_sum(tf.cast(x, b.dtype) * b, axis=1) for x in (self.n, self.d))
        n, d = self.over_sites([n, d])
        return n, tf.cast(self.d0, b.dtype) + d


def arranged(x: Tensor, layout: Layout) -> Tensor:
    """Take `[..., N, C]` to `[..., M, R]` in the layouts that read label columns."""
    if layout == "rows":
        return tf.linalg.matrix_transpose(x)
    if layout == "pooled":
        return tf.reshape(x, tf.concat([tf.shape(x)[:-2], [-1, 1]], axis=0))
    return x


def block_of(bound: IndicatorRatios | ChoiceRatio, start: Tensor, size: int) -> Any:
    """Rows of n and d: made from the truth where it is known how, else cut out."""
    if bound.rows is not None:
        return bound.rows(start, size)
    return slice_rows(bound.n, start, size), slice_rows(bound.d, start, size)


def _settled(table, b):
    """The rows of a table that are still open, and what the settled ones `b` add, `[R]`."""
    if table.shape.rank < 2 or table.shape[0] == 1:  # one row for all
        return table, tf.reduce_sum(table * b, axis=0)
    settled = b.shape[0]
    return table[:-settled], tf.reduce_sum(table[-settled:] * b, axis=0)


@dataclasses.dataclass(frozen=True)
class ChoiceRatio(BoundReward):
    """One ratio whose terms depend on the whole choice: kappa, micro averages over some labels.

    R = (n0 + sum_i n[i, a_i]) / (d0 + sum_i d[i, a_i])

    Args:
        n, d: broadcastable to `[M, K]` where M = N * C; d not negative.
        n0, d0: scalars, d0 not negative.
        zero_division: the value wherever the denominator is 0.
        count_unit, d0_positive, rows: as for `IndicatorRatios`.
        vanishes: whether the numerator is 0 wherever the denominator is.
    """

    n: Tensor
    d: Tensor
    n0: Tensor | float
    d0: Tensor | float
    zero_division: float
    count_unit: float | None
    d0_positive: bool
    rows: Callable[[Tensor, int], tuple[Tensor, Tensor]] | None = None
    vanishes: bool = True
    #: As those of `IndicatorRatios`.
    coefficient: ClassVar[float] = 1.0
    constant: ClassVar[float] = 0.0

    def block(self, start: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Rows of n and d, one site each."""
        return block_of(self, start, size)

    def score(self, samples):
        return self.soft_score(self._choices(samples))

    def soft_score(self, choices):
        n, d = self._sums(tf.reshape(choices, [tf.shape(choices)[0], -1, choices.shape[-1]]))
        return tf.cast(ratio(n, d, self.zero_division), tf.float32)

    def marginal_rewards(self, samples):
        choices = self._choices(samples)
        N, D = (x[:, None, None] for x in self._sums(choices))
        now = ratio(N, D, self.zero_division)
        n, d = (tf.cast(x, choices.dtype) for x in (self.n, self.d))
        N -= tf.reduce_sum(n * choices, axis=-1, keepdims=True)  # of all other sites
        D -= tf.reduce_sum(d * choices, axis=-1, keepdims=True)
        gain = tf.cast(ratio(N + n, D + d, self.zero_division) - now, tf.float32)
        return tf.reshape(gain, tf.concat([tf.shape(samples), [gain.shape[-1]]], axis=0))

    def of_labels(self, choices):
        def read(n, d):
            return tf.gather(n, choices, axis=-1), tf.gather(d, choices, axis=-1)

        n, d = read(self.n, self.d)
        rows = self.rows and (lambda start, size: read(*self.block(start, size)))
        return dataclasses.replace(self, n=n, d=d, rows=rows)

    def given(self, y_pred):
        b = tf.one_hot(tf.reshape(y_pred, [-1]), max(self.n.shape[-1], self.d.shape[-1]))
        n, n0 = _settled(self.n, b)
        d, d0 = _settled(self.d, b)
        n0, d0 = self.n0 + tf.reduce_sum(n0), self.d0 + tf.reduce_sum(d0)
        return dataclasses.replace(self, n=n, d=d, rows=None, n0=n0, d0=d0)

    def linear(self, columns: int) -> Linear:
        """The same where no label changes a denominator: a sum over sites."""
        gains = tf.math.divide_no_nan(self.n, self.d0)[:, None, :]
        return Linear(gains, tf.where(self.d0 > 0.0, 0.0, self.zero_division))

    def _choices(self, samples):
        flat = tf.reshape(samples, [tf.shape(samples)[0], -1])
        return tf.one_hot(flat, max(self.n.shape[-1], self.d.shape[-1]), dtype=tf.float64)

    def _sums(self, choices):
        n, d = over_replicas(
            [tf.reduce_sum(tf.cast(x, choices.dtype) * choices, [1, 2]) for x in (self.n, self.d)]
        )
        return tf.cast(self.n0, choices.dtype) + n, tf.cast(self.d0, choices.dtype) + d


@dataclasses.dataclass(frozen=True)
class Opaque(BoundReward):
    """R = any function; nothing is known but its values.

    Args:
        function: `samples [S, N, C] -> [S]`.
    """

    function: Callable[[Tensor], Tensor]
    has_marginal_rewards = False

    def score(self, samples):
        return self.function(samples)
