"""Rewards that are sums over examples once the true classes are counted.

What a label is worth depends on the truth of its example and on how often each class is true, both
of which are known before any label is drawn: the expectation is exact. Classes absent from the
truth do not count, as in scikit-learn's `balanced_accuracy_score`.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.global_batch import over_replicas
from policygrad_metrics.core.sums import class_totals
from policygrad_metrics.rewards.base import ConfusionReward
from policygrad_metrics.rewards.bound import Linear
from policygrad_metrics.rewards.confusion import ratio
from policygrad_metrics.rewards.levels import level_distance


class TrueCountGain(ConfusionReward):
    """R = sum_i w_i G[y_i, a_i], G depending on the weights of the true classes alone."""

    @abc.abstractmethod
    def gain_table(self, true: Tensor) -> Tensor:
        """G `[..., K, K]`, rows the truth, of the true weights `[..., K]`."""

    def bind(self, batch):
        self.refuse_multilabel()
        true = over_replicas(class_totals(batch.y_true, batch.weight, batch.num_classes))
        gains = tf.cast(self.gain_table(tf.cast(true, tf.float64)), tf.float32)
        return Linear(batch.weight[..., None] * tf.gather(gains, batch.y_true))

    def of_counts(self, confusion):
        self.refuse_multilabel()
        gains = self.gain_table(tf.reduce_sum(confusion, axis=-1))
        return tf.einsum("...ta,...ta->...", confusion, gains)


def mean_of_classes(true: Tensor) -> Tensor:
    """What an example of each class weighs in the mean over the classes that occur, `[..., K, 1]`.

    >>> mean_of_classes(tf.constant([4.0, 0.0, 1.0])).numpy().ravel().tolist()
    [0.125, 0.0, 0.5]
    """
    present = tf.reduce_sum(tf.cast(true > 0.0, true.dtype), axis=-1, keepdims=True)
    return ratio(ratio(tf.ones_like(true), true), present)[..., None]


@dataclasses.dataclass(frozen=True)
class BalancedAccuracy(TrueCountGain):
    """The mean recall of the classes that occur.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.BalancedAccuracy()([0, 0, 0, 1], [0, 0, 0, 0]))
    0.5
    """

    weighs_classes = True

    @property
    def name(self):
        return "balanced_accuracy"

    def gain_table(self, true):
        return mean_of_classes(true) * tf.eye(true.shape[-1], dtype=true.dtype)


@dataclasses.dataclass(frozen=True)
class NegAMAE(TrueCountGain):
    """Minus the macro-averaged mean absolute level error (Baccianella, Esuli, Sebastiani 2009).

        AMAE = mean over the classes k that occur of  mean over {i: y_i = k} of |a_i - k|

    The sign is scikit-learn's for errors. The value is that of imbalanced-learn's
    `macro_averaged_mean_absolute_error`.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.NegAMAE()([0, 0, 0, 2], [0, 0, 0, 1]))
    -0.5
    """

    weighs_classes = True

    @property
    def name(self):
        return "neg_amae"

    @property
    def uses_order(self):
        return True

    def gain_table(self, true):
        return -mean_of_classes(true) * level_distance(true.shape[-1], true.dtype)


@dataclasses.dataclass(frozen=True)
class PeirceSkillScore(TrueCountGain):
    """Peirce's skill score, the true skill statistic: accuracy beyond chance.

        PSS = (sum_k C[k, k] - sum_k o_k p_k) / (1 - sum_k o_k^2)

    with shares C of all examples, o of the truths and p of the labels; hit rate less false alarm
    rate of two classes, 2 balanced accuracy - 1 (Peirce 1884; Hanssen, Kuipers 1965). It is 0
    where the truth has one class only.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.PeirceSkillScore()([0, 0, 1, 1], [0, 1, 1, 1]))
    0.5
    """

    weighs_classes = True

    @property
    def name(self):
        return "peirce_skill_score"

    def gain_table(self, true):
        total = tf.reduce_sum(true, axis=-1, keepdims=True)
        share = ratio(true, tf.broadcast_to(total, tf.shape(true)))
        by_chance: Any = tf.reduce_sum(true * (1.0 - share), axis=-1)
        gains = tf.eye(true.shape[-1], dtype=true.dtype) - share[..., None, :]
        by_chance = by_chance[..., None, None]
        return ratio(gains, tf.broadcast_to(by_chance, tf.shape(gains)))


@dataclasses.dataclass(frozen=True)
class Gerrity(TrueCountGain):
    """Gerrity's score of ordered classes (1992): the mean Peirce skill score of all levels.

    Each level above the lowest makes an event, "this level or above"; levels that no truth, or
    every truth, reaches do not count. It is 0 where the truth has one class only.

    >>> import policygrad_metrics as pgm
    >>> float(pgm.rewards.Gerrity()([0, 1, 2, 2], [0, 1, 2, 1]))  # 1 and 1/2
    0.75
    """

    @property
    def name(self):
        return "gerrity"

    @property
    def uses_order(self):
        return True

    def gain_table(self, true):
        K = true.shape[-1]
        # Above or below each of K - 1 edges; sums of parts, so that a light class is not lost.
        above = tf.cast(tf.range(K)[:, None] > tf.range(K - 1), true.dtype)  # [K, K-1]
        reached, other = (tf.linalg.matmul(true[..., None, :], x) for x in (above, 1.0 - above))
        counts = tf.cast((reached > 0.0) & (other > 0.0), true.dtype)
        edges = tf.reduce_sum(counts, axis=-1, keepdims=True)
        each = ratio(counts, tf.broadcast_to(edges, tf.shape(counts)))  # [..., 1, K-1]
        worth = above * ratio(each, reached) - (1.0 - above) * ratio(each, other)
        return tf.linalg.matmul(worth, above, transpose_b=True)
