"""The parts that a study of forecasts trains, validates and tests on."""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from policygrad_metrics.air import ForecastTask
from policygrad_metrics.data import Split
from policygrad_metrics.study.cases import Cases
from policygrad_metrics.study.settings import StudySettings


class ForecastCases(Cases):
    """As `Cases`, with the task's own parts, and what was known when each hour was forecast.

    Args:
        task: What is forecast.
        settings: Seeds.
    """

    def __init__(self, task: ForecastTask, settings: StudySettings):
        super().__init__(task.dataset, settings)
        self.task = task

    def split(self, seed: int) -> Split:
        """Return the task's three parts, the same for every seed."""
        return self.task.parts

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hexadecimal digits that change with anything a run depends on."""
        task = self.task
        digest = hashlib.sha256(super().fingerprint.encode())
        for array in (task.concentration, task.last_known, task.parts.valid, task.parts.test):
            digest.update(array.tobytes())
        return digest.hexdigest()[:16]

    @property
    def last_known(self) -> np.ndarray | None:
        """The last known level and concentration `[N, 2]`; None at horizon 0."""
        task = self.task
        return np.stack([task.persistence, task.last_known], axis=1) if task.horizon else None
