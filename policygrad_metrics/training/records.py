"""What goes into the trainer and what comes out of it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import numpy as np

from policygrad_metrics.core.checks import check_number, check_whole
from policygrad_metrics.policies import BinnedRegression


class Buildable(Protocol):
    """Anything that builds a Keras model from a seed; `Network` is one."""

    def build(self, features: int, outputs: int, seed: int) -> keras.Model:
        """Build the model. Models of different seeds must have the same layers."""
        ...


class Parts(Protocol):
    """Features float32 `[rows, F]` and labels of three parts, as `data.prepare` makes them."""

    @property
    def x_train(self) -> np.ndarray: ...
    @property
    def y_train(self) -> np.ndarray: ...
    @property
    def x_valid(self) -> np.ndarray: ...
    @property
    def y_valid(self) -> np.ndarray: ...
    @property
    def x_test(self) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True)
class Replica:
    """One run of the network among many.

    Args:
        seed: of the initial weights, the data order, dropout and a sampling loss; from 0 to
            2^31 - 1.
        learning_rate: positive; None for the optimizer's own, Adam's .001 or a schedule.
        hyper: the loss's hyper-parameters by name. A value on which all replicas of a call agree
            may be anything and reaches the loss as it is; where they differ it must be a number
            or an array of numbers and reaches the loss as a tensor.

    Raises:
        ValueError: the seed or the learning rate is out of range.

    >>> Replica(seed=3, learning_rate=0.0)
    Traceback (most recent call last):
    ValueError: learning_rate must be a number greater than 0; it is 0.0.
    """

    seed: int
    learning_rate: float | None = None
    hyper: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "hyper", types.MappingProxyType(dict(self.hyper)))
        if int(self.seed) != self.seed or not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be a whole number from 0 to 2^31 - 1; it is {self.seed}.")
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How all replicas of a call are trained.

    Args:
        epochs: most epochs to train.
        batch_size: most examples per batch.
        optimizer: a name such as "adam" or "adamw", or a Keras optimizer, of which the
            configuration counts: schedules and weight decay included.
        patience: epochs without a rise of the validation reward after which a replica ends; None
            trains all epochs. It ends on its own: the others go on.
        lengths: epochs after which each replica ends and keeps its last weights, whatever their
            validation reward; None keeps those of the best epoch.
        warm_start: share of the epochs that are first spent on cross-entropy, in [0, 1), at most
            all but one; no replica ends before they are over.
        num_classes: K; the largest label plus one if not given.
        policy: reads levels off a network that predicts values; the task is then "ordinal", the
            truths are values in the policy's units, and the network has its output columns.
        stacked: False trains one replica after the other.

    Raises:
        ValueError: a number is out of range.
    """

    epochs: int
    batch_size: int = 256
    optimizer: str | keras.optimizers.Optimizer = "adam"
    patience: int | None = None
    lengths: Sequence[int] | None = None
    warm_start: float = 0.0
    num_classes: int | None = None
    policy: BinnedRegression | None = None
    stacked: bool = True

    def __post_init__(self):
        check_whole("epochs", self.epochs, 1)
        check_whole("batch_size", self.batch_size, 1)
        check_whole("patience", self.patience, 1, or_none=True)
        if not 0.0 <= self.warm_start < 1.0:
            raise ValueError(
                "warm_start must be a share of the epochs, from 0 to below 1; it is "
                f"{self.warm_start!r}."
            )

    @property
    def warm_epochs(self) -> int:
        """Epochs on cross-entropy."""
        return min(round(self.warm_start * self.epochs), self.epochs - 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """What became of one replica.

    Args:
        seed: the replica's.
        best_epoch: the epoch (from 0) after which the validation reward was highest, the last of
            several; -1 if no epoch ended with finite numbers, then the weights are the initial.
        history: "loss" (mean over the epoch's batches) and "val_reward" (of the decisions over
            the whole validation part), one number per epoch that ended with finite numbers.
        valid_outputs: the network's outputs `[N, D]` with the best weights.
        test_outputs: the same on the test part.
        weights: the best weights, for `model.set_weights` of a model of the same network.
        diverged: whether loss or weights stopped being finite, which ends the replica.
        steps: optimizer steps until the replica ended.
        seconds: its share of the time of the whole call, compilation included.
        reward_evaluations: label sets scored: one per epoch for validation, and those that a
            sampling estimator drew in each step.
        stacked: whether it was trained together with the others.
    """

    seed: int
    best_epoch: int
    history: dict[str, list[float]]
    valid_outputs: np.ndarray
    test_outputs: np.ndarray
    weights: list[np.ndarray]
    diverged: bool
    steps: int
    seconds: float
    reward_evaluations: int
    stacked: bool
