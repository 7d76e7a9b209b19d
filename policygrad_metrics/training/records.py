"""What goes into the trainer and what comes out of it."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Protocol

import keras
import numpy as np


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
        learning_rate: Adam's, positive.
        hyper: the loss's hyper-parameters by name. A value on which all replicas of a call agree
            may be anything and reaches the loss as it is; where they differ it must be a number
            or an array of numbers and reaches the loss as a tensor.

    Raises:
        ValueError: the seed or the learning rate is out of range.

    >>> Replica(seed=3, learning_rate=0.0)
    Traceback (most recent call last):
    ValueError: learning_rate must be a positive finite number; it is 0.0.
    """

    seed: int
    learning_rate: float = 1e-3
    hyper: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "hyper", types.MappingProxyType(dict(self.hyper)))
        if int(self.seed) != self.seed or not 0 <= self.seed < 2**31:
            raise ValueError(f"seed must be a whole number from 0 to 2^31 - 1; it is {self.seed}.")
        if not 0.0 < self.learning_rate < float("inf"):
            raise ValueError(
                f"learning_rate must be a positive finite number; it is {self.learning_rate!r}."
            )


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
