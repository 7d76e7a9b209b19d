"""Reward calls, counted rather than claimed."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

from policygrad_metrics.rewards import Reward


@dataclasses.dataclass
class Calls:
    """What an estimate asked of the reward.

    Args:
        scored: label sets.
        flipped: label sets of which all relabellings of one site were scored, in closed form.
        soft: sets of soft labels.
    """

    scored: int = 0
    flipped: int = 0
    soft: int = 0


#: Method of a bound reward -> the counter of its label sets.
_COUNTERS = {"score": "scored", "marginal_rewards": "flipped", "soft_score": "soft"}


@dataclasses.dataclass(frozen=True)
class CountedReward(Reward):
    """A reward that counts what is asked of it while a graph is built or run eagerly.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> calls = Calls()
    >>> reward = CountedReward(pgm.get_reward("f1"), calls)
    >>> reinforce = pgm.estimators.Reinforce(samples=4, baseline="greedy")
    >>> _ = reinforce(tf.zeros([3, 2]), reward, [0, 1, 1], seed=0)
    >>> calls
    Calls(scored=5, flipped=0, soft=0)
    """

    inner: Reward
    calls: Calls

    @property
    def name(self):
        return self.inner.name

    @property
    def aggregation(self):
        return self.inner.aggregation

    def bind(self, batch):
        bound = self.inner.bind(batch)
        counted = copy.copy(bound)
        for method, counter in _COUNTERS.items():
            object.__setattr__(counted, method, self._counting(getattr(bound, method), counter))
        return counted

    def _counting(self, method: Callable[[Any], Any], counter: str) -> Callable[[Any], Any]:
        def call(sets):
            setattr(self.calls, counter, getattr(self.calls, counter) + sets.shape[0])
            return method(sets)

        return call
