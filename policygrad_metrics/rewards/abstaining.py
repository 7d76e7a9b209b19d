"""Rewards of labels one of which is "no answer": coverage, selective risk, Chow's cost."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from policygrad_metrics.rewards.base import ConfusionReward, require_counts
from policygrad_metrics.rewards.bound import BoundReward, ChoiceRatio, Linear
from policygrad_metrics.rewards.bound_counts import Counts
from policygrad_metrics.rewards.levels import MeanGain, share_of_total
from policygrad_metrics.rewards.registry import get_reward


@dataclasses.dataclass(frozen=True)
class Abstaining(ConfusionReward):
    """A reward of the examples that are answered, less a cost for each that is not.

        R = reward(answered examples) - cost * unanswered / all

    The network has one output column more than there are classes, and its last label, K, says "no
    answer" (Chow 1970; El-Yaniv and Wiener 2010). y_true never holds it. With "accuracy" the first
    term is 1 - wrong / answered, one minus the selective risk: for that and all means of a gain
    per example (within_1, level errors, a cost matrix) it is a ratio of sums, and its expectation
    exact; of other rewards it is a local expectation. Instead of a cost, `subject_to` can ask for
    a share of answers: "coverage >= 0.8" is that share wherever the reward is `Abstaining`. The
    cross-entropy that `PolicyGradientLoss` mixes in is that of the answers alone.

    `predict` of `PolicyGradientClassifier(Abstaining(...), classes=["no", "yes", "ask"])` returns
    the last of these for no answer; in Keras and the `DecisionTuner` it is the number K.

    Args:
        reward: of confusion counts of the K classes, a name or a `Reward`.
        cost: of an unanswered example, not negative. An example is better left out if its chance
            of being right is below the others' mean less the cost. 0 needs a constraint on
            coverage, or one answer is enough.
        zero_division: the reward of no answer at all.

    Raises:
        ValueError: the cost is negative or not finite.
        TypeError: the reward is none of confusion counts.

    >>> import policygrad_metrics as pgm
    >>> reward = pgm.rewards.Abstaining("accuracy", cost=0.2)
    >>> y_true, y_pred = [0, 1, 1, 0], [0, 1, 0, 2]  # two of three answers are right
    >>> round(float(reward(y_true, y_pred, num_classes=3)), 4)
    0.6167
    """

    reward: Any
    cost: float = 0.0
    zero_division: float = 0.0
    abstains = True

    def __post_init__(self):
        found = get_reward(self.reward)
        require_counts(found, "accuracy")
        object.__setattr__(self, "reward", found)
        for name, least in (("cost", 0.0), ("zero_division", -math.inf)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                low = ", 0 or more" if least == 0.0 else ""
                raise ValueError(f"{name} must be a finite number{low}; it is {value!r}.")

    @property
    def name(self):
        return f"{self.reward.name}_or_no_answer"

    @property
    def uses_order(self):
        return True  # the last label is no class

    def of_counts(self, confusion):
        self.refuse_multilabel()
        answered = confusion[..., :-1, :-1]
        some = tf.reduce_sum(answered, axis=[-2, -1]) > 0.0
        score = tf.where(some, self.reward.of_counts(answered), self.zero_division)
        silent = tf.reduce_sum(confusion[..., -1], axis=-1)
        total = tf.reduce_sum(confusion, axis=[-2, -1])
        return score - self.cost * tf.math.divide_no_nan(silent, total)

    def bind(self, batch):
        self.refuse_multilabel()
        K = batch.num_classes
        if not isinstance(self.reward, MeanGain):
            return Counts(self.of_counts, batch, self.name)
        gains = tf.cast(self.reward.gain_table(K - 1), tf.float32)
        # A truth that is "no answer" has no row of gains; losses and classifiers refuse it.
        gains = tf.pad(gains, [[0, 1], [0, 1]])
        silent = tf.one_hot(K - 1, K)
        share = share_of_total(batch.weight)
        return SelectiveRatio(
            ChoiceRatio(
                n=batch.weight * tf.gather(gains, batch.y_true[:, 0]),
                d=batch.weight * (1.0 - silent),
                n0=0.0,
                d0=0.0,
                zero_division=self.zero_division,
                count_unit=None if batch.weighted else 1.0,
                d0_positive=False,
            ),
            Linear(-self.cost * share[..., None] * silent),
        )


@dataclasses.dataclass(frozen=True)
class SelectiveRatio(BoundReward):
    """A ratio over the answered examples, plus a sum over those that are not."""

    ratio: ChoiceRatio
    silence: Linear

    def score(self, samples):
        return self.ratio.score(samples) + self.silence.score(samples)

    def soft_score(self, choices):
        return self.ratio.soft_score(choices) + self.silence.soft_score(choices)

    def marginal_rewards(self, samples):
        return self.ratio.marginal_rewards(samples) + self.silence.marginal_rewards(samples)

    def given(self, y_pred):
        return SelectiveRatio(self.ratio.given(y_pred), self.silence.given(y_pred))


@dataclasses.dataclass(frozen=True)
class AnsweredRate(MeanGain):
    """The share of examples that are answered: not labelled with the last label.

    >>> float(AnsweredRate()([0, 1, 1, 0], [0, 1, 0, 2], num_classes=3))
    0.75
    """

    @property
    def name(self):
        return "answered_rate"

    @property
    def uses_order(self):
        return True

    def gain_table(self, num_classes):
        answered = 1.0 - tf.one_hot(num_classes - 1, num_classes)
        return tf.tile(answered[None], [num_classes, 1])
