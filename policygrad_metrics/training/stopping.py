"""Which epoch is the best, and when to stop: one rule for every training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class EarlyStopping:
    """The best epoch of each of R trainings, and which of them go on.

    The best epoch is the one of the highest validation reward; of several, the last: a short
    validation part reaches its highest reward early, many epochs share it, and the last of them
    has learned most. A training ends when its reward has not *risen* for `patience` epochs.

    Args:
        trainings: R.
        patience: None for no end.
        waits_from: the epoch from which waiting counts at the earliest.
        to_beat: a reward that the best epoch must exceed.
        lengths: epochs after which each training ends and keeps its last epoch, whatever its
            reward; None to choose by reward.

    >>> stopping = EarlyStopping(1, patience=2)
    >>> for reward in (0.5, 0.7, 0.7, 0.6):
    ...     _ = stopping.update([reward])
    >>> int(stopping.best_epoch[0]), bool(stopping.active[0])
    (2, False)
    """

    def __init__(
        self,
        trainings: int = 1,
        patience: int | None = None,
        *,
        waits_from: int = -1,
        to_beat: float = -np.inf,
        lengths: Sequence[int] | None = None,
    ):
        self.epoch = 0
        self.active = np.ones(trainings, bool)
        self.best_epoch = np.full(trainings, -1)
        self._patience = patience
        self._lengths = lengths
        self._to_beat = to_beat
        self._best = np.full(trainings, to_beat, np.float64)
        self._least = np.full(trainings, np.inf)
        self._last_rise = np.full(trainings, waits_from)

    def update(self, reward: Any, finite: Any = True, cross_entropy: Any = np.inf) -> np.ndarray:
        """Book one epoch of all trainings.

        Args:
            reward: validation rewards `[R]`.
            finite: False where a training has come to NaN or infinity, which ends it.
            cross_entropy: a fall of it to a new lowest counts as a rise of the reward for
                `patience`: on few rows the reward moves in jumps.

        Returns:
            Whether this epoch is the best so far, bool `[R]`.
        """
        reward = np.asarray(reward)
        self.active &= finite
        better = self.active & (reward >= self._best) & (reward > self._to_beat)
        rises = self.active & ((reward > self._best) | (cross_entropy < self._least))
        if self._lengths is not None:
            better = self.active.copy()
        self._best = np.where(better, reward, self._best)
        self._least = np.minimum(self._least, cross_entropy)
        self.best_epoch = np.where(better, self.epoch, self.best_epoch)
        self._last_rise = np.where(rises, np.maximum(self.epoch, self._last_rise), self._last_rise)
        if self._patience is not None:
            self.active &= self.epoch - self._last_rise < self._patience
        self.epoch += 1
        if self._lengths is not None:
            self.active &= self.epoch < np.asarray(self._lengths)
        return better

    def run(
        self,
        epochs: int,
        train_epoch: Callable[[int], tuple[Any, ...]],
        keep: Callable[[np.ndarray], None],
    ) -> None:
        """Train epoch by epoch until all trainings have ended.

        Args:
            epochs: most epochs.
            train_epoch: trains for the epoch of this number, and returns the arguments of `update`.
            keep: is told which trainings have come to their best epoch so far, to keep what they
                are.
        """
        while self.epoch < epochs and self.active.any():
            better = self.update(*train_epoch(self.epoch))
            if better.any():
                keep(better)


def best_epoch(rewards: Sequence[float]) -> int:
    """The best epoch of a fine-tuning: the last of the highest, and 0 unless it beats epoch 0.

    >>> best_epoch([0.5, 0.7, 0.7, 0.6]), best_epoch([0.7, 0.7])
    (2, 0)
    """
    stopping = EarlyStopping(to_beat=rewards[0])
    for reward in rewards[1:]:
        stopping.update([reward])
    return int(stopping.best_epoch[0]) + 1
