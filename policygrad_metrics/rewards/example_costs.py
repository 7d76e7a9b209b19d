"""Costs that differ from example to example: what a wrong decision on this one costs."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from policygrad_metrics.core.batch import Batch, canonical_weight
from policygrad_metrics.rewards.base import Reward
from policygrad_metrics.rewards.bound import Linear
from policygrad_metrics.rewards.levels import share_of_total


@dataclasses.dataclass(frozen=True)
class ExampleCosts(Reward):
    """Minus the mean cost of the labels, where each example has costs of its own.

        R = -sum_i w_i cost[i, a_i] / sum_i w_i

    A fraud of 900 that is let through costs 900, a check costs 5 (Zadrozny and Elkan 2001: learning
    and making decisions when costs and probabilities are both unknown). It is linear, so its
    expectation is exact. The costs `[N, K]`, a column for each label, stand behind the labels in
    y_true, `np.column_stack([y, costs])`, in Keras and here; scikit-learn's `fit` takes `costs=`.

    Raises:
        ValueError: there are no costs, or not one for each label.

    >>> import policygrad_metrics as pgm
    >>> y_true = [[0, 0.0, 5.0], [1, 900.0, 5.0]]  # the label, what 0 costs, what 1 costs
    >>> float(pgm.rewards.ExampleCosts()(y_true, [1, 1])), float(
    ...     pgm.rewards.ExampleCosts()(y_true, [0, 0])
    ... )
    (-5.0, -450.0)
    """

    reads_costs = True

    @property
    def name(self):
        return "example_costs"

    @property
    def aggregation(self):
        return "examples"

    @property
    def uses_order(self):
        return False  # classifiers put the columns of the costs in the order of their classes

    def __call__(self, y_true, y_pred, sample_weight=None, *, num_classes=None):
        """Score label sets.

        Args:
            y_true: `[N, 1 + K]`, labels and costs.
            y_pred: int `[S, N]`, or `[N]`, a single label set.
            sample_weight: `[N]`.
            num_classes: K, or None.
        """
        table, y_pred = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.int32)
        if table.shape.rank != 2:
            raise ValueError(self._missing(f"y_true has shape {table.shape}"))
        truth = tf.cast(table[:, :1], tf.int32)
        weight = canonical_weight(sample_weight, truth)
        K = table.shape[-1] - 1 if num_classes is None else num_classes
        batch = Batch(truth, weight, K, sample_weight is not None, costs=table[:, 1:])
        single = y_pred.shape.rank == 1
        scores = self.score_samples(batch, (y_pred[None] if single else y_pred)[..., None])
        return scores[0] if single else scores

    def bind(self, batch):
        self.refuse_multilabel()
        if batch.costs is None:
            raise ValueError(self._missing("there are none here"))
        if batch.costs.shape[-1] != batch.num_classes:
            raise ValueError(
                f"reward {self.name!r} needs a cost for each of the {batch.num_classes} labels, in "
                f"as many columns; there are {batch.costs.shape[-1]}."
            )
        return Linear(-share_of_total(batch.weight)[..., None] * batch.costs[:, None, :])

    def _missing(self, found):
        return (
            f"reward {self.name!r} needs the costs of each example, and {found}. In Keras and in "
            "calls of the reward y_true is np.column_stack([y, costs]); in scikit-learn it is "
            "PolicyGradientClassifier.fit(X, y, costs=costs)."
        )
