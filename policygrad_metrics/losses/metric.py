"""The reward of the decisions, as a Keras metric over the whole data set."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core._compat import places_in_compile, under_xla
from policygrad_metrics.core.batch import flatten_sites
from policygrad_metrics.core.global_batch import first_of_process, gathered, over_replicas, replicas
from policygrad_metrics.losses.base import Reader, nan_if_invalid, policy_of
from policygrad_metrics.losses.serialization import deserialize_reward, serialize_reward
from policygrad_metrics.policies import Policy
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.rewards.confusion import confusion_counts


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class RewardMetric(Reader, keras.metrics.Metric):
    """The reward of what the network decides, over all batches since the last reset.

    Confusion counts add up over batches and the reward is computed from their sum, so the result
    is that of the whole data set, not a mean of batch values. Rewards that are means over
    examples (multi-label accuracy, "samples" averages) add up as such; a black box is called on
    all examples so far, whenever the result is read. Of rankings of one list the scores of all
    batches are ranked together; of several lists the result is the mean over all of them.

    Args:
        reward: as for `PolicyGradientLoss`.
        policy: as for `PolicyGradientLoss`.
        name: by default the reward's name as it was given, so that `val_f1_macro` can be monitored.
        from_logits: as for `PolicyGradientLoss`.
        num_classes: K, or with policy="sigmoid" and more than two the number of label columns.
            With it the counts are made at once instead of at the first batch, which a custom loop
            inside `strategy.run` needs.
        groups: the number of groups, if the last column of y_true holds the group of each example
            for a loss with constraints on groups; the metric leaves it out.
        ignore_class: as for `PolicyGradientLoss`.

    Raises:
        ValueError: a Python reward inside XLA; outputs of another number of classes than before;
            a metric with two places in `compile`, or first met inside `strategy.run`.
            Under XLA, where no error can be raised, a label outside the classes gives NaN.

    >>> import policygrad_metrics as pgm
    >>> metric = pgm.RewardMetric("accuracy")
    >>> metric.update_state([0, 1], [[2.0, 0.0], [2.0, 0.0]])
    >>> float(metric.result())
    0.5
    """

    def __init__(
        self,
        reward: str | Reward | Any,
        policy: str | Policy = "auto",
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = True,
        num_classes: int | None = None,
        groups: int | None = None,
        ignore_class: int | None = None,
    ):
        self.reward = get_reward(deserialize_reward(reward))
        typed = reward if isinstance(reward, str) else self.reward.name
        super().__init__(name=name or typed, dtype=dtype)
        self.reads(policy_of(self.reward, policy), from_logits, groups, ignore_class)
        self.reads_costs, self.abstains = self.reward.reads_costs, self.reward.abstains
        self._direction = "up"
        self._multilabel = False
        self._counts: Any = None
        self._seen: list[tuple[np.ndarray, ...]] = []
        self.num_classes = num_classes
        if num_classes is not None and self.reward.aggregation not in ("nothing", "scores"):
            columns = num_classes > 2 and getattr(self.policy, "name", "") == "sigmoid"
            counts = [num_classes, 2, 2] if columns else [1, num_classes, num_classes]
            self._build([2] if self.reward.aggregation == "examples" else counts)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch."""
        if places_in_compile(self) > 1:
            raise ValueError(
                f"metric {self.name!r} is given to two outputs, or to metrics= and "
                "weighted_metrics=, whose counts would mix. Give each a RewardMetric of its own."
            )
        batch = self.read(y_true, y_pred, sample_weight, decides=True)
        if self.reward.ranks:
            self._rank(batch)
            return
        decisions = batch.policy.predict(batch.outputs)
        self._multilabel = batch.multilabel
        samples = flatten_sites(decisions, batch.multilabel)[None]
        reward = self._columnwise()
        if reward.aggregation == "nothing":
            self._remember(batch.y_true, samples[0], batch.weight)
        elif reward.aggregation == "examples":
            self._build([2])
            total = tf.reduce_sum(tf.reduce_mean(batch.weight, axis=1))
            self._add(batch, tf.stack([reward.bind(batch).score(samples)[0] * total, total]))
        else:
            K = batch.num_classes
            self._build([batch.columns, K, K])
            self._add(batch, confusion_counts(batch.y_true, samples, batch.weight, K)[0])

    def result(self) -> Any:
        """The reward of everything since the last reset; 0 before the first batch."""
        reward = self._columnwise()
        if reward.aggregation == "nothing" or (reward.ranks and self._counts is None):
            return self._recalled(reward)
        if self._counts is None:
            return tf.constant(0.0)
        if reward.calls_python:
            self._refuse_xla()
        counts = tf.identity(self._counts.value)  # on this replica's device
        if reward.aggregation == "examples" or reward.ranks:
            return tf.cast(tf.math.divide_no_nan(counts[0], counts[1]), tf.float32)
        # A replica that is asked within a step knows its own counts alone.
        return tf.cast(reward.score_columns(over_replicas(counts)), tf.float32)

    def reset_state(self) -> None:
        """Forget all batches."""
        self._seen.clear()
        if self._counts is not None:
            self._counts.assign(tf.zeros(self._counts.shape))

    def _columnwise(self):
        return self.reward.for_multilabel() if self._multilabel else self.reward

    def _build(self, shape):
        if self._counts is None:
            if replicas() > 1 and not tf.executing_eagerly():
                raise ValueError(
                    f"metric {self.name!r} cannot make its counts inside strategy.run: give it the "
                    "number of classes, RewardMetric(..., num_classes=K), so that they are made "
                    "with the metric, inside strategy.scope()."
                )
            # float32 stops counting at 2^24.
            self._counts = self.add_variable(tuple(shape), "zeros", dtype="float64", name="counts")
        if list(self._counts.shape) != list(shape):
            raise ValueError(
                f"metric {self.name!r} keeps counts of shape {tuple(self._counts.shape)} and now "
                f"meets outputs with counts of shape {tuple(shape)}: use a RewardMetric of its own "
                "for each model and output."
            )

    def _add(self, batch, counts):
        self._counts.assign_add(tf.cast(nan_if_invalid(counts, batch), tf.float64))

    def _rank(self, batch):
        """Remember the items of one list, or add up the rewards of several."""
        self._refuse_xla()
        lists = batch.y_true, batch.logits[..., 0], batch.weight
        if batch.outputs.shape[1:] in ([], [1]):
            self._remember(*(x[0] for x in lists))
            return
        if self._counts is None:
            # Of `add_variable` the metric's name would be a scope, which knows no "@".
            self._counts = keras.Variable(np.zeros(2), dtype="float64", trainable=False)

        reward: Any = self.reward

        def score(*lists):
            return np.array(reward.sum_of_lists(*(x.astype(np.float64) for x in lists)))

        sums = tf.ensure_shape(tf.numpy_function(score, lists, tf.float64), [2])
        self._counts.assign_add(sums)

    def _remember(self, truth, labels, weight):
        self._refuse_xla()
        batch = gathered(truth, labels, weight)
        if not first_of_process():
            return

        def keep(*batch):
            self._seen.append(batch)
            return np.float32(0.0)

        tf.numpy_function(keep, batch, tf.float32)

    def _recalled(self, reward: Any):
        self._refuse_xla()

        def call():
            if not self._seen:
                return np.float32(0.0)
            truth, labels, weight = (np.concatenate(x) for x in zip(*self._seen, strict=True))
            if reward.ranks:
                return np.float32(reward(truth, labels, weight))
            weights = () if (weight == 1.0).all() else (weight,)
            return np.float32(reward.evaluate(truth, labels, *weights))

        return tf.ensure_shape(tf.numpy_function(call, [], tf.float32), [])

    def _refuse_xla(self):
        if under_xla():
            raise ValueError(
                f"reward {self.reward.name!r} is computed in Python, which XLA cannot compile: use "
                "model.compile(..., jit_compile=False)."
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            **self.reading_config(),
            "reward": serialize_reward(self.reward),
            "num_classes": self.num_classes,
            "groups": self.groups,
        }
