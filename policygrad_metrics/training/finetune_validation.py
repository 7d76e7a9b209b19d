"""What validation data say of the epochs of a fine-tuning, selection included."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.decision import DecisionTuner
from policygrad_metrics.decision.floors import read_floors
from policygrad_metrics.decision.scorer import Scorer
from policygrad_metrics.losses.columns import split_columns
from policygrad_metrics.policies import CumulativeLink, Policy
from policygrad_metrics.rewards import Reward
from policygrad_metrics.training.stopping import best_epoch

#: Divisions into halves over which the cross-fitted gain is averaged.
DIVISIONS = 10


@dataclasses.dataclass(frozen=True)
class FineTuned:
    """What a fine-tuning found; its `str` says it in words.

    Args:
        reward: its name.
        validation_rewards: of the model as given, and after each epoch.
        best_epoch: the last of those with the highest reward; 0, the model as given, if no epoch
            has a higher reward than it.
        cross_fitted_gain: the mean gain where one half of the validation data chooses the epoch
            and the other measures it; 0 if the model as given is the best.
        examples: of validation.
        cautious: whether that gain had to be positive.
        diverged: whether training ended because the outputs were no longer finite.
        tuner: with `subject_to` the `DecisionTuner` of the model as it is now; the rewards are of
            such decisions, and an epoch that keeps the constraints beats one that does not.

    >>> print(FineTuned("f1", (0.5, 0.75), 1, 0.125, 80, True, False))
    f1 on 80 validation examples: 0.5000 as given, 0.7500 after epoch 1 of 1 (+0.2500).
    Where one half chose the epoch and the other measured: +0.1250.
    The model has the tuned weights.
    """

    reward: str
    validation_rewards: tuple[float, ...]
    best_epoch: int
    cross_fitted_gain: float
    examples: int
    cautious: bool
    diverged: bool
    tuner: Any = None

    @property
    def before(self) -> float:
        """The validation reward of the model as given."""
        return self.validation_rewards[0]

    @property
    def after(self) -> float:
        """The validation reward of the model as it is now."""
        return self.validation_rewards[self.best_epoch] if self.kept else self.before

    @property
    def gain(self) -> float:
        """`after - before`, on the data that chose the epoch."""
        return self.after - self.before

    @property
    def kept(self) -> bool:
        """Whether the model has the tuned weights."""
        return self.best_epoch > 0 and (self.cross_fitted_gain > 0.0 or not self.cautious)

    def __str__(self):
        epochs = len(self.validation_rewards) - 1
        found = self.validation_rewards[self.best_epoch]
        lines = [
            f"{self.reward} on {self.examples:,} validation examples: {self.before:.4f} as given, "
        ]
        if self.best_epoch:
            lines[0] += (
                f"{found:.4f} after epoch {self.best_epoch} of {epochs} "
                f"({found - self.before:+.4f})."
            )
            lines.append(
                "Where one half chose the epoch and the other measured: "
                f"{self.cross_fitted_gain:+.4f}."
            )
        else:
            lines[0] += f"no better after any of {epochs} epochs."
        if self.tuner is not None:
            lines[1:] = [
                f"Its decision, {self.tuner.rule_.describe()}, is tuned subject to "
                + ", ".join(f"{text} (off by {x:+.3g})" for text, x in self.tuner.excess_.items())
                + "."
            ]
        if self.diverged:
            lines.append("Training diverged: try a smaller learning_rate.")
        lines.append(
            "The model has the tuned weights."
            if self.kept
            else "Nothing was gained: the model is as it was."
        )
        return "\n".join(lines)


class Validation:
    """The validation examples, and what decisions on them are worth.

    Args:
        reward, policy: what is scored, and how outputs are read.
        data: `(x, y)`, `(x, y, sample_weight)`, or a dataset of such batches.
        outputs: some outputs of the model, for their shape.
        batch_size: for arrays.
        seed: of the halves.
        subject_to: constraints that decisions are tuned under, or None.

    Raises:
        ValueError: labels lie outside the classes.
    """

    def __init__(
        self,
        reward: Reward,
        policy: Policy,
        data: Any,
        outputs: Any,
        *,
        batch_size: int,
        seed: int,
        subject_to: Any = None,
    ):
        self.policy = policy
        self.seed = seed
        self.reward_name = reward.name
        if isinstance(data, tf.data.Dataset):
            self.inputs, self.batch_size = data.map(lambda *batch: batch[0]), None
            batches = list(data.map(lambda *batch: batch[1:]).as_numpy_iterator())
            y, *weight = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        else:
            self.inputs, y, *weight = data
            self.batch_size = batch_size
        like = tf.zeros([len(y), *outputs.shape[1:]])
        _, self.classes, multilabel = policy.layout(like)
        self.reward = reward.for_multilabel() if multilabel else reward
        self._floored: Any = self.reward
        self._groups = 1
        if subject_to is not None:
            self._floored = read_floors(self.reward, subject_to, None, multilabel)
            self._groups = self._floored.constraints.groups
        y, self._group = labels_and_group(np.asarray(y), self._groups)
        truth = policy.truth(y, like)
        if np.any(truth.invalid):
            raise ValueError(
                "validation_data hold labels that are no classes of the model, whose policy reads "
                f"{policy.truth_in_words(self.classes)}."
            )
        labels = truth.labels.numpy()
        #: int `[N, sites, C]`
        self.truth = labels.reshape(len(y), -1, labels.shape[-1] if multilabel else 1)
        self.weight = None
        if weight:
            weight = np.asarray(weight[0]).reshape(len(y), -1, 1)
            self.weight = np.broadcast_to(weight, self.truth.shape)
        self._subject_to = subject_to
        self._tuners: list[DecisionTuner] = []
        self._all = self._scorer(np.arange(len(y)))

    def decisions(self, model: keras.Model) -> np.ndarray | None:
        """The model's decisions, shaped like the truth; None if outputs are not finite."""
        quiet: Any = 0
        outputs = model.predict(self.inputs, batch_size=self.batch_size, verbose=quiet)
        if not np.isfinite(outputs).all():
            return None
        if self._subject_to is not None:
            return self._tuned(outputs)
        return self.policy.predict(outputs).numpy().reshape(self.truth.shape)

    def _tuned(self, outputs: np.ndarray) -> np.ndarray:
        """Decisions that are tuned under the constraints."""
        multilabel = self.reward.multilabel
        p = tf.nn.softmax(self.policy.logits(outputs)).numpy().astype(np.float64)
        p = p[..., 1] if multilabel else p.reshape(-1, self.classes)
        truth = _flat(self.truth) if multilabel else self.truth.ravel()
        weight = None if self.weight is None else _flat(self.weight)[:, 0]
        tuner = DecisionTuner(
            self.reward,
            multilabel=multilabel,
            ordinal=isinstance(self.policy, CumulativeLink),
            subject_to=self._subject_to,
            margin="standard_error",
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "no decision of method")
            self._tuners.append(tuner.fit(p, truth, weight, self._group))
        return tuner.predict(p).reshape(self.truth.shape)

    def tuner_of(self, epoch: int) -> DecisionTuner | None:
        """The tuned decision after an epoch; None without constraints.

        Warns:
            UserWarning: it does not keep them.
        """
        if self._subject_to is None:
            return None
        tuner = self._tuners[epoch]
        if not tuner.feasible_:
            warnings.warn(
                "no decision keeps the constraints of subject_to on the validation data, with a "
                f"margin of one standard error, after any epoch; the chosen one is off by "
                f"{tuner.excess_}. Move the bound, or give more examples.",
                stacklevel=2,
            )
        return tuner

    def score(self, labels: np.ndarray) -> float:
        """The reward of decisions on all examples."""
        return self._all.score(_flat(labels))

    def standing(self, labels: np.ndarray, reward: float) -> float:
        """Their reward, or a number far below all rewards where the constraints are not kept."""
        if self._subject_to is None:
            return reward
        return self._scorer(np.arange(len(labels)), floored=True).score(_flat(labels))

    def cross_fitted_gain(self, decisions: list[np.ndarray]) -> float:
        """The gain over the first decisions of those that one half chooses, on the other half."""
        draw = np.random.default_rng(self.seed)
        gains = []
        for _ in range(DIVISIONS):
            halves = np.array_split(draw.permutation(len(self.truth)), 2)
            rewards = [self._scores(rows, decisions) for rows in halves]
            for chooser, judge in (rewards, rewards[::-1]):
                gains.append(judge[best_epoch(chooser)] - judge[0])
        return float(np.mean(gains))

    def _scores(self, rows, decisions):
        scorer = self._scorer(rows, floored=True)
        return [scorer.score(_flat(labels[rows])) for labels in decisions]

    def _scorer(self, rows, floored=False):
        weight = None if self.weight is None else _flat(self.weight[rows])
        known = _flat(self.truth[rows]), weight, self.classes
        if not floored or self._group is None:
            return Scorer(self._floored if floored else self.reward, *known)
        return Scorer(self._floored, *known, group=self._group[rows], groups=self._groups)


def labels_and_group(y: Any, groups: int | None) -> tuple[Any, np.ndarray | None]:
    """The truth without its last column, and that column as whole numbers, if there are groups.

    >>> labels_and_group(np.array([[1, 0], [0, 2]]), 3)[1].tolist()
    [0, 2]
    """
    if groups is None or groups < 2:
        return y, None
    found = split_columns(y, groups, costs=False)
    return found.labels.numpy(), found.group.numpy()


def _flat(x):
    return x.reshape(-1, x.shape[-1])
