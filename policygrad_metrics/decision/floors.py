"""Decisions under constraints: a reward that puts whatever breaks a constraint below all else."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.decision.scorer import adds_up_counts
from policygrad_metrics.rewards import Reward
from policygrad_metrics.rewards.base import ConfusionReward
from policygrad_metrics.rewards.inequalities import Constraints

#: What breaks a constraint scores less than minus this; rewards are of the order of one.
PENALTY = 1e3
#: Of rates at a bound float64 may round so far.
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Floored(ConfusionReward):
    """The reward where all constraints are kept, else less the more the worst one is broken.

    The margin is the standard error of a rate over other data of as many examples, by the delta
    method: of counts n with slopes s the variance is sum n s^2 (Efron 1982: the infinitesimal
    jackknife). Rate and error are taken at n + 1 (Laplace 1774): two hits of two prove little.

    Args:
        reward: what is to be high.
        constraints: what must be kept.
        errors: the margin, in standard errors.
    """

    reward: Reward
    constraints: Constraints
    errors: float = 0.0

    @property
    def name(self):
        return f"{self.reward.name} subject to {', '.join(map(str, self.constraints.items))}"

    def bind(self, batch):
        raise TypeError("decisions under constraints are scored by confusion counts alone.")

    def score_columns(self, confusion):
        return self.of_counts(confusion)

    def of_counts(self, confusion):
        """Score counts `[..., C, G K, K]`: the rows of group 0 first, then those of group 1."""
        split = self.by_group(confusion)
        worst = tf.reduce_max(self.excess(split), axis=-1)
        scores = self.reward.score_columns(tf.reduce_sum(split, axis=-4))
        return tf.where(worst <= _ROUNDING, scores, -PENALTY * (1.0 + worst))

    def by_group(self, confusion: Any) -> Any:
        """Counts `[..., G, C, K, K]` of `[..., C, G K, K]`."""
        K, G = confusion.shape[-1], self.constraints.groups
        shape = tf.concat([tf.shape(confusion)[:-2], [G, K, K]], axis=0)
        split = tf.reshape(confusion, shape)
        return tf.stack(tf.unstack(split, num=G, axis=-3), axis=-4)

    def unknown(self, table: Any) -> Any:
        """The rates, in words, that a table `[C, G K, K]` has no example of."""
        return self.constraints.unknown(self.by_group(tf.constant(table)))

    def excess(self, counts: Any) -> Any:
        """By how much each inequality is broken, the margin included, `[..., M]`."""
        if not self.errors:
            return self.constraints.excess(counts)
        smooth, errors = counts + 1.0, []
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(smooth)
            excess = self.constraints.excess(smooth)
            each = tf.unstack(excess, axis=-1)
        for one in each:
            slope = tape.gradient(one, smooth)
            errors.append(tf.sqrt(tf.reduce_sum(smooth * slope**2, axis=[-4, -3, -2, -1])))
        return excess + self.errors * tf.stack(errors, axis=-1)


def read_floors(reward: Reward, subject_to: Any, margin: str | None, multilabel: bool) -> Floored:
    """Return the reward under the constraints that a person gives.

    Args:
        reward: of confusion counts.
        subject_to: a constraint or a text, or several.
        margin: None or "standard_error".
        multilabel: whether the data have label columns.

    Raises:
        ValueError: the margin is another, the constraints are none, or the reward is no function
            of confusion counts.

    >>> from policygrad_metrics.rewards import get_reward
    >>> read_floors(get_reward("recall"), "precision>=0.9", None, multilabel=False).name
    'recall subject to precision >= 0.9'
    """
    constraints = Constraints.of(subject_to, abstains=reward.abstains)
    if margin not in (None, "standard_error"):
        raise ValueError(f"margin must be None or 'standard_error'; it is {margin!r}.")
    if not adds_up_counts(reward):
        way_out = "Write it as a CountReward."
        if reward.reads_costs:
            way_out = (
                "Bound it in training, PolicyGradientLoss(subject_to=), or put it into the costs."
            )
        raise ValueError(
            f"subject_to= needs a reward of confusion counts; {reward.name!r} is none. {way_out}"
        )
    if multilabel:
        constraints = constraints.for_multilabel()
    return Floored(reward, constraints, float(margin is not None))
