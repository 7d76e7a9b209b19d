"""The reward of a batch together with examples that are already labelled.

Small batches see too little of a rare class. If the confusion counts of other examples are known,
with truth t and label a counted in `counts[t, a]`, the batch can be scored as a part of the whole:

    R = (n_0 + N_0 + sum_i n_i(a_i)) / (d_0 + D_0 + sum_i d_i(a_i))

where N_0 and D_0 are what those examples add to the sums. They are K^2 weighted examples with
fixed labels, so the reward itself says what they add; nothing here knows a reward by name.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.rewards.base import ConfusionReward, Reward
from policygrad_metrics.rewards.confusion import cells


@dataclasses.dataclass(frozen=True, eq=False)
class BesideCounts(ConfusionReward):
    """A reward of the batch and of other examples, of which only the confusion counts are known.

    Args:
        reward: one of confusion counts.
        counts: float32 `[C, K, K]`, a confusion matrix per label column; rows are the truth.

    Raises:
        TypeError: the reward is no function of confusion counts.

    One right and one wrong answer, beside two right ones:

    >>> from policygrad_metrics.rewards import get_reward
    >>> counts = tf.constant([[[1.0, 0.0], [0.0, 1.0]]])
    >>> float(BesideCounts(get_reward("accuracy"), counts)([0, 1], [0, 0], num_classes=2))
    0.75
    """

    reward: Reward
    counts: Any

    def __post_init__(self):
        if self.reward.aggregation != "counts":
            raise TypeError(
                f"reward {self.reward.name!r} is no function of confusion counts, so counts of "
                "other examples cannot be added to it."
            )
        object.__setattr__(self, "multilabel", self.reward.multilabel)

    @property
    def name(self):
        return self.reward.name

    def bind(self, batch):
        bound = self.reward.bind(batch)
        if bound.reads_confusion:
            return bound.with_counts(self.counts[0])
        truth, labels, times = cells(self.counts)
        joint = dataclasses.replace(
            batch,
            y_true=tf.concat([batch.y_true, truth], axis=0),
            weight=tf.concat([batch.weight, times], axis=0),
            weighted=True,
        )
        return self.reward.bind(joint).given(labels)

    def of_counts(self, confusion):
        counts = tf.cast(self.counts, confusion.dtype)
        return self.reward.of_counts(confusion + (counts if self.multilabel else counts[0]))
