"""The parts that each seed of a data set trains, validates and tests on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from policygrad_metrics.data import Dataset, Prepared, Split, folds, prepare, split
from policygrad_metrics.study.constrained import read_constraints
from policygrad_metrics.study.evaluate import Scorer
from policygrad_metrics.study.settings import StudySettings, fingerprint


class Cases(Mapping[int, Prepared]):
    """A data set in a study: seed -> the prepared parts of its split, each made once.

    Seeds whose parts are the same (a series, split by time) share one object.

    Args:
        dataset: The data set.
        settings: Seeds and folds.

    >>> from policygrad_metrics.data import load
    >>> cases = Cases(load("iris"), StudySettings(data=("iris",), seeds=3))
    >>> cases.stacks(), cases[0].x_train.shape
    ([[0, 1, 2]], (90, 4))
    """

    def __init__(self, dataset: Dataset, settings: StudySettings):
        self.dataset = dataset
        self.settings = settings
        self._made: dict[int, Prepared] = {}

    @property
    def reward(self) -> str:
        """Name of what is maximised."""
        return self.settings.reward or self.dataset.reward

    @property
    def subject_to(self) -> Sequence[str]:
        """The constraints, as texts."""
        return self.settings.subject_to or self.dataset.subject_to

    @functools.cached_property
    def scorer(self) -> Scorer:
        """How the labels are scored."""
        dataset = self.dataset
        return Scorer.of(
            self.reward,
            dataset.task,
            len(dataset.class_names),
            series=dataset.time_ordered,
            constraints=read_constraints(self.subject_to, dataset.task, dataset.class_names),
        )

    @property
    def epochs(self) -> int:
        """How long every network trains."""
        return self.settings.epochs_for(self.dataset)

    def split(self, seed: int) -> Split:
        """Return the rows of a seed's three parts.

        A series has one split. Without folds each seed shuffles anew; with k folds the first k
        seeds are the folds of one shuffle, the next k those of another.

        Args:
            seed: One of `settings.run_seeds`.

        Raises:
            ValueError: The rows cannot be split so.
        """
        k, first = self.settings.folds, self.settings.seed
        if self.dataset.time_ordered or k is None:
            return split(self.dataset, seed, fractions=self.settings.fractions)
        repetition, fold = divmod(seed - first, k)
        return folds(self.dataset, k, first + repetition)[fold]

    def __getitem__(self, seed: int) -> Prepared:
        if seed not in self._made:
            first = self.settings.seed
            if self.dataset.time_ordered and seed != first:
                self._made[seed] = self[first]
            else:
                self._made[seed] = prepare(self.dataset, self.split(seed))
        return self._made[seed]

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hexadecimal digits that change with anything a run depends on."""
        return fingerprint(self.dataset)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal where the parts of all seeds are equal."""
        asked = self.settings
        return (
            self.dataset.name,
            self.fingerprint,
            asked.seed,
            asked.seeds,
            asked.folds,
            asked.test_share,
        )

    def forget(self) -> None:
        """Let go of the prepared parts, which are made again when they are asked for."""
        self._made = {}

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: the data set, not what is prepared of it."""
        return {**self.__dict__, "_made": {}}

    def __iter__(self):
        return iter(self.settings.run_seeds)

    def __len__(self) -> int:
        return self.settings.seeds

    @property
    def last_known(self) -> np.ndarray | None:
        """What was known last at each row: the label `[N, 1]`; None if nothing is known."""
        last = self.dataset.last_labels
        return None if last is None else last[:, None]

    def last_labels(self, seed: int) -> Prepared:
        """The parts of a seed with what was known last instead of features."""
        known, parts = self.last_known, self.split(seed)
        if known is None:
            raise ValueError(f"{self.dataset.name!r} has no horizon, so no label is known before.")
        columns = {
            f"x_{part}": known[getattr(parts, part)].astype(np.float32)
            for part in ("train", "valid", "test")
        }
        return dataclasses.replace(self[seed], feature_names=("last label",), **columns)

    def stacks(self) -> list[list[int]]:
        """The seeds, those together whose parts have the same shapes.

        Shapes differ where a training part lacks a text that others have, or folds a row.
        """
        found: dict[tuple[tuple[int, ...], ...], list[int]] = {}
        for seed in self:
            arrays = self[seed]
            shapes = tuple(getattr(arrays, name).shape for name in ("x_train", "x_valid", "x_test"))
            found.setdefault(shapes, []).append(seed)
        return [*found.values()]
