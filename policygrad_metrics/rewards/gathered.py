"""Rewards that are no sums over examples, under tf.distribute: gather, then score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import cast

import tensorflow as tf

from policygrad_metrics.core.global_batch import (
    first_replica,
    gathered,
    over_replicas,
    own_rows,
    replicas,
)
from policygrad_metrics.core.sites import Tensor
from policygrad_metrics.rewards.forms import Form, StructuredForm


def gathered_form(make: Callable[[Tensor, Tensor], Form], y_true: Tensor, weight: Tensor) -> Form:
    """The form that `make(y_true, weight)` gives of the global batch, for this replica's labels.

    On a single device it is that form itself.

    Args:
        make: `(y_true [N, C], weight [N, C]) -> Form`.
        y_true: this replica's truth, int32 `[N, C]`.
        weight: its weights, float32 `[N, C]`.
    """
    if replicas() == 1:
        return make(y_true, weight)
    form = make(*gathered(y_true, weight))
    if isinstance(form, StructuredForm):
        return GatheredStructuredForm(form, y_true)
    return GatheredForm(form, y_true)


@dataclasses.dataclass(frozen=True)
class GatheredForm(Form):
    """A form of the global batch; label set s is made of all replicas' label sets s.

    Args:
        form: of the global batch.
        y_true: int32 `[N, C]`, this replica's truth.
    """

    form: Form
    y_true: Tensor

    def score(self, labels):
        # Once per step, on the first replica: a function of your own may be slow, or have noise.
        everyone = everyones(labels)
        scores = self.form.score(everyone) if first_replica() else tf.zeros(tf.shape(labels)[:1])
        return tf.ensure_shape(over_replicas(scores), labels.shape[:1])


class GatheredStructuredForm(GatheredForm, StructuredForm):
    """The same for forms that know what changing one label does."""

    def effects(self, labels):
        form = cast(StructuredForm, self.form)  # `gathered_form` sees to it
        effects = tf.transpose(form.effects(everyones(labels)), [1, 0, 2, 3])
        return tf.transpose(own_rows(effects, self.y_true), [1, 0, 2, 3])


def everyones(labels: Tensor) -> Tensor:
    """The label sets `[S, N, C]` of all replicas, joined over the examples."""
    (joined,) = gathered(tf.transpose(labels, [1, 0, 2]))
    return tf.transpose(joined, [1, 0, 2])
