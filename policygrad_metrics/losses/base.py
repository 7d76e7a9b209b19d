"""What all losses share: reading the batch, refusing bad values, Keras's reduction."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core._compat import (
    called_by_keras_2,
    in_several_steps,
    in_vectorized_map,
    under_xla,
)
from policygrad_metrics.core.batch import Batch, Tensor
from policygrad_metrics.core.global_batch import check_strategy, replicas
from policygrad_metrics.losses.columns import refuse_no_answer, split_columns
from policygrad_metrics.policies import PlackettLuce, get_policy
from policygrad_metrics.policies.reading import Reading, read_batch

#: Keras's names for a mean over the examples, which divides by the number of replicas too.
_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


class Reader:
    """How a loss or a metric reads batches: by which policy, and what the outputs are."""

    #: Whether the costs of each example stand behind the labels in y_true.
    reads_costs = False
    #: Whether the last label means "no answer", which the truth never is.
    abstains = False

    def reads(
        self,
        policy: Any,
        from_logits: bool,
        groups: int | None = None,
        ignore_class: int | None = None,
    ) -> None:
        """Set how batches are read; for constructors.

        Args:
            policy: a policy, its name, or "auto".
            from_logits: as in Keras.
            groups: the number of groups, if the last column of y_true is the group.
            ignore_class: the number in y_true that marks sites of weight 0, if any does.

        Raises:
            ValueError: ignore_class is no whole number.
        """
        self.groups = groups
        self.ignore_class = _whole_or_none(ignore_class)
        self.policy: Any = policy if policy == "auto" else get_policy(policy)
        self.from_logits = bool(from_logits)
        self._has_read = False

    def read(self, y_true: Any, y_pred: Any, sample_weight: Any = None, **more: bool) -> Batch:
        """The batch as this reads it; `more` is for `Reading`.

        Raises:
            TypeError: a model of tf_keras, the former Keras, is calling.
        """
        first = not self._has_read
        if first:
            refuse_keras_2(type(self).__name__, called_by_keras_2())
        self._has_read = True
        # A graph is looked at when it is traced; values are looked at once.
        suspect, columns = first or not tf.executing_eagerly(), None
        how = Reading(self.policy, self.from_logits, self.ignore_class, suspect=suspect, **more)
        if self.groups is not None or self.reads_costs:
            columns = split_columns(y_true, self.groups, self.reads_costs)
            y_true = columns.labels
        batch = read_batch(how, y_true, y_pred, sample_weight)
        if columns is not None:
            _, costs, group, fine = columns
            if group is not None:
                group = tf.repeat(group, tf.shape(batch.y_true)[0] // tf.shape(group)[0])
            batch = dataclasses.replace(batch, costs=costs, group=group, valid=batch.valid & fine)
        return refuse_no_answer(batch) if self.abstains else batch

    def reading_config(self) -> dict[str, Any]:
        """The arguments of `reads` as plain values."""
        return {
            "policy": self.policy if self.policy == "auto" else self.policy.get_config(),
            "from_logits": self.from_logits,
            "ignore_class": self.ignore_class,
        }


def policy_of(reward: Any, policy: Any) -> Any:
    """The policy that draws what the reward scores; for "auto" of labels it depends on the shapes.

    Raises:
        ValueError: the policy draws labels and the reward scores rankings, or the reverse.

    >>> from policygrad_metrics.rewards import get_reward
    >>> policy_of(get_reward("roc_auc"), "auto"), policy_of(get_reward("f1"), "auto")
    (PlackettLuce(graded=False), 'auto')
    """
    if reward.ranks and policy in ("auto", PlackettLuce.name):
        return PlackettLuce(graded=reward.graded)
    ranks = policy != "auto" and isinstance(get_policy(policy), PlackettLuce)
    if reward.ranks and not ranks:
        raise ValueError(
            f"reward {reward.name!r} scores a ranking, and policy={policy!r} draws labels: leave "
            'policy="auto", and end the network with one score for each item.'
        )
    if ranks and not reward.ranks:
        raise ValueError(
            f"reward {reward.name!r} scores labels, and policy='plackett_luce' draws rankings: "
            'leave policy="auto", or use "average_precision", "ndcg@10" or another ranking.'
        )
    return policy


class SiteLoss(Reader, keras.losses.Loss):
    """What all losses share: reading the batch, refusing bad values, Keras's reduction."""

    #: Whether the truth may be soft.
    soft: bool = False

    def __init__(
        self,
        policy: Any,
        name: str,
        reduction: Any,
        dtype: Any = None,
        from_logits: bool = True,
        groups: int | None = None,
        ignore_class: int | None = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.reads(policy, from_logits, groups, ignore_class)
        self._reduce = MeanOfValues(reduction=reduction, dtype=dtype)

    # AutoGraph would take seconds to find out that no tensor decides what Python does here.
    @tf.autograph.experimental.do_not_convert
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch; weights enter the counts instead of scaling the result."""
        with tf.name_scope(self.name):
            batch = self.read(y_true, y_pred, sample_weight, soft=self.soft)
            loss = self.batch_loss(batch)
            # One value per example, of which one will do for a mean, so that Keras divides by
            # replicas as for any other loss.
            count = 1 if self.reduction in _MEANS else tf.shape(y_pred)[0]
            values = tf.broadcast_to(nan_if_invalid(loss, batch), [count])
            return self._reduce(values, values)

    @tf.autograph.experimental.do_not_convert
    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """The unweighted loss of a batch, a scalar."""
        return self.batch_loss(self.read(y_true, y_pred, soft=self.soft))

    def batch_loss(self, batch: Any) -> Tensor:
        """The loss of one `Batch`, a scalar."""
        raise TypeError(f"{type(self).__name__} does not say how to score a batch.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), **self.reading_config()}


def _whole_or_none(ignore_class: Any) -> int | None:
    if ignore_class is None:
        return None
    if isinstance(ignore_class, bool) or not isinstance(ignore_class, numbers.Integral):
        raise ValueError(
            "ignore_class must be a whole number, such as 255 or -1, or None; it is "
            f"{ignore_class!r}. Sites whose truth is NaN need sample_weight 0."
        )
    return int(ignore_class)


class MeanOfValues(keras.losses.Loss):
    """Keras's own reduction of values per example, replicas included."""

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """Return the values."""
        return y_pred


def nan_if_invalid(loss: Tensor, batch: Batch) -> Tensor:
    """NaN, with a zero gradient, where labels or outputs are unusable."""
    return tf.where(batch.valid, loss, tf.constant(float("nan"), loss.dtype))


def in_plain_graph() -> bool:
    """Whether a graph is traced that XLA does not compile, vectorised by nobody, on one device."""
    return not (tf.executing_eagerly() or under_xla() or in_vectorized_map() or replicas() > 1)


def refuse_keras_2(name: str, found: bool) -> None:
    """Raise a TypeError if a model of tf_keras, the former Keras, was found.

    >>> refuse_keras_2("RewardMetric", False)
    """
    if found:
        raise TypeError(
            f"{name} works with Keras 3, and this model is one of tf_keras (Keras 2), which would "
            "score it wrongly. Import keras instead of tf_keras, or unset TF_USE_LEGACY_KERAS "
            "before TensorFlow is imported, and build the model again."
        )


def check_replicas(reduction: str | None, variables: Sequence[Any]) -> None:
    """Refuse what a loss of the global batch cannot do under tf.distribute.

    Args:
        reduction: the loss's.
        variables: what it remembers from step to step.

    Raises:
        ValueError: replicas under XLA; several steps per execution; a reduction that is no mean;
            variables that each replica would write on its own.
    """
    check_strategy()
    if replicas() == 1:
        return
    if under_xla():
        raise ValueError(
            "XLA cannot exchange sums between replicas: under a tf.distribute strategy use "
            "model.compile(..., jit_compile=False)."
        )
    if in_several_steps():
        raise ValueError(
            "Keras cannot run several steps in one execution under a tf.distribute strategy: use "
            "model.compile(..., steps_per_execution=1)."
        )
    if reduction not in _MEANS:
        raise ValueError(
            f"reduction={reduction!r} has no meaning for a reward of the global batch under a "
            f"tf.distribute strategy; use {_MEANS[0]!r}."
        )
    if not all(isinstance(variable, tf.distribute.DistributedValues) for variable in variables):
        raise ValueError(
            "this loss remembers something from step to step: make it inside strategy.scope(), "
            "as the model, so that its replicas agree on it."
        )
