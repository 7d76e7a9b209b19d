"""Rewards of the event "level k or above" of ordered classes."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.rewards.base import ConfusionReward, Reward, require_counts
from policygrad_metrics.rewards.bound_counts import Counts
from policygrad_metrics.rewards.registry import get_reward


@dataclasses.dataclass(frozen=True)
class AtOrAbove(ConfusionReward):
    """A reward of two classes, of the event that an ordered class is `level` or above.

    Its expectation is exact where the reward of two classes is a sum or a single ratio of sums
    (F-beta, Jaccard, precision, recall, kappa, the equitable threat score, ...); else it is a local
    expectation.

    Args:
        reward: of two classes, a name or a `Reward` of confusion counts.
        level: the least class that is part of the event, from 1 to K - 1.

    Raises:
        ValueError: `level` is not such a number.
        TypeError: the reward is none of confusion counts.

    >>> import policygrad_metrics as pgm
    >>> reward = pgm.rewards.at_or_above("critical_success_index", 2)
    >>> float(reward([0, 1, 2, 3], [2, 1, 3, 3]))  # 2 hits, 1 false alarm
    0.6666666865348816
    """

    reward: Any
    level: int

    def __post_init__(self):
        found = get_reward(self.reward)
        require_counts(found, "f1")
        object.__setattr__(self, "reward", found)
        if isinstance(self.level, bool) or self.level != int(self.level) or self.level < 1:
            raise ValueError(
                f"level must be a whole number, 1 or more, got {self.level!r}: every class is at "
                "level 0 or above."
            )

    @property
    def name(self):
        return f"{self.reward.name}_at_or_above_{self.level}"

    @property
    def uses_order(self):
        return True

    def event(self, num_classes: int) -> tuple[int, ...]:
        """1 for the classes of the event, else 0.

        Raises:
            ValueError: there are no more than `level` classes.
        """
        if self.level >= num_classes:
            raise ValueError(
                f"level must be at most {num_classes - 1}, as there are {num_classes} classes; it "
                f"is {self.level}."
            )
        return tuple(int(k >= self.level) for k in range(num_classes))

    def of_counts(self, confusion):
        self.refuse_multilabel()
        side = tf.one_hot(self.event(confusion.shape[-1]), 2, dtype=confusion.dtype)
        return self.reward.of_counts(tf.einsum("...ta,tu,av->...uv", confusion, side, side))

    def bind(self, batch):
        self.refuse_multilabel()
        event = self.event(batch.num_classes)
        truth = tf.cast(batch.y_true >= self.level, tf.int32)
        two = self.reward.bind(dataclasses.replace(batch, y_true=truth, num_classes=2))
        return two.of_labels(event) or Counts(self.of_counts, batch, self.name)


def at_or_above(reward: str | Reward, level: int) -> AtOrAbove:
    """A reward of two classes for the event that an ordered class is `level` or above.

    >>> at_or_above("f1", 3).name
    'f1_at_or_above_3'
    """
    return AtOrAbove(reward, level)
