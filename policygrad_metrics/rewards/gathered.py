"""Rewards that are no sums over examples, under tf.distribute: gather, then score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor
from policygrad_metrics.core.global_batch import (
    first_replica,
    gathered,
    over_replicas,
    own_rows,
    replicas,
)
from policygrad_metrics.rewards.bound import BoundReward


def bind_gathered(bind: Callable[[Batch], BoundReward], batch: Batch) -> BoundReward:
    """What `bind` makes of the global batch, for this replica's labels.

    On a single device it is `bind(batch)` itself.
    """
    if replicas() == 1:
        return bind(batch)
    y_true, weight = gathered(batch.y_true, batch.weight)
    return Gathered(bind(dataclasses.replace(batch, y_true=y_true, weight=weight)), batch.y_true)


@dataclasses.dataclass(frozen=True)
class Gathered(BoundReward):
    """A bound reward of the global batch; label set s is made of all replicas' label sets s.

    Args:
        whole: of the global batch.
        y_true: int32 `[N, C]`, this replica's truth.
    """

    whole: BoundReward
    y_true: Tensor

    @property
    def has_marginal_rewards(self) -> bool:
        return self.whole.has_marginal_rewards

    def score(self, samples):
        # Once per step, on the first replica: a function of your own may be slow, or have noise.
        everyone = everyones(samples)
        scores = self.whole.score(everyone) if first_replica() else tf.zeros(tf.shape(samples)[:1])
        return tf.ensure_shape(over_replicas(scores), samples.shape[:1])

    def marginal_rewards(self, samples):
        rewards = tf.transpose(self.whole.marginal_rewards(everyones(samples)), [1, 0, 2, 3])
        return tf.transpose(own_rows(rewards, self.y_true), [1, 0, 2, 3])


def everyones(samples: Tensor) -> Tensor:
    """The label sets `[S, N, C]` of all replicas, joined over the examples."""
    (joined,) = gathered(tf.transpose(samples, [1, 0, 2]))
    return tf.transpose(joined, [1, 0, 2])
