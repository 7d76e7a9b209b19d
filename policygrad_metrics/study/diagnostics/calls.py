"""Reward calls, counted rather than claimed."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from policygrad_metrics.rewards import Reward
from policygrad_metrics.rewards.forms import Form, StructuredForm


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
    def accumulates(self):
        return self.inner.accumulates

    def form(self, y_true, weight, num_classes, weighted=False):
        return _counted(self.inner.form(y_true, weight, num_classes, weighted), self.calls)


def _counted(form: Form, calls: Calls) -> Form:
    """The form itself, by class and fields, with counting methods."""
    copy: Any = object.__new__(_counting_class(type(form)))
    copy.__dict__.update(vars(form), counted=(form, calls))
    return copy


@functools.lru_cache
def _counting_class(kind: type) -> type:
    """A subclass, so that estimators still recognise the kind of form."""

    def score(self, labels):
        form, calls = self.counted
        calls.scored += labels.shape[0]
        return form.score(labels)

    def effects(self, labels):
        form, calls = self.counted
        calls.flipped += labels.shape[0]
        return form.effects(labels)

    def soft_score(self, choices):
        form, calls = self.counted
        calls.soft += choices.shape[0]
        return form.soft_score(choices)

    methods: dict[str, Any] = {"score": score}
    if issubclass(kind, StructuredForm):
        methods |= {"effects": effects, "soft_score": soft_score}
    return type(kind.__name__, (kind,), methods)
