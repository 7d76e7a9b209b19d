"""From columns of numbers and texts to probabilities and labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from policygrad_metrics.data import Preparation
from policygrad_metrics.decision import Rule
from policygrad_metrics.decision.rules import read_rule, rule_record
from policygrad_metrics.study.evaluate import decide
from policygrad_metrics.study.trained.models import Models, load_models


@dataclasses.dataclass(frozen=True, eq=False)
class Decider:
    """A preparation, the models that it is for, and the decision that was tuned for them.

    Args:
        preparation: Makes features of columns.
        models: Make probabilities of features.
        rule: Makes labels of probabilities.
        task: As for `Dataset`.
    """

    preparation: Preparation
    models: Models
    rule: Rule
    task: str

    def probabilities(self, numeric: np.ndarray, texts: np.ndarray) -> np.ndarray:
        """Return probabilities as `evaluate.probabilities` gives them.

        Args:
            numeric: float64 `[N, F1]`, NaN = missing.
            texts: `[N, F2]`, "" = missing.
        """
        return self.models.probabilities(self.preparation.features(numeric, texts))

    def decide(self, chances: np.ndarray) -> np.ndarray:
        """Return the labels of such probabilities."""
        return decide(chances, self.rule, self.task)

    def save(self, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """Write the models; return what is left as plain values, preparation and decision."""
        preparation = {
            "preparation": dataclasses.asdict(self.preparation),
            "models": self.models.save(folder),
            "task": self.task,
        }
        return preparation, {**rule_record(self.rule), "in words": self.rule.describe()}

    @classmethod
    def load(
        cls, folder: Path, preparation: Mapping[str, Any], decision: Mapping[str, Any]
    ) -> Decider:
        """Return the decider that `save` wrote; the errors are those of `load_models`."""
        rule = {name: value for name, value in decision.items() if name != "in words"}
        return cls(
            Preparation.from_json(preparation["preparation"]),
            load_models(folder, preparation["models"], preparation["task"]),
            read_rule(rule),
            preparation["task"],
        )
