"""What computes probabilities from prepared features: Keras networks or LightGBM's trees.

Files hold numbers and layers only: `.keras` is read in Keras's safe mode, trees are text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from policygrad_metrics.policies import BinnedRegression, get_policy
from policygrad_metrics.saving import load_model
from policygrad_metrics.study.evaluate import probabilities
from policygrad_metrics.tabular.trees import import_lightgbm, raw_outputs

#: Rows that a network is given at a time.
_BLOCK = 2**14
_TREES = "trees.txt"


class Networks:
    """One network or several, whose mean probabilities decide.

    Args:
        models: The networks.
        task: As for `Dataset`.
        policies: What reads levels off networks that predict a value, one for each; None for
            networks with an output for each class.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        task: str,
        policies: Sequence[BinnedRegression] | None = None,
    ):
        self.models = tuple(models)
        self.task = task
        self.policies = None if policies is None else tuple(policies)

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities of prepared features, as `evaluate.probabilities` gives them."""
        return np.mean([probabilities(read, self.task) for read in self._logits(x)], axis=0)

    def values(self, x: np.ndarray) -> np.ndarray | None:
        """Return the predicted value of each row `[N]`, of networks that predict one."""
        if self.policies is None:
            return None
        both = zip(self.policies, self.models, strict=True)
        found = [policy.location(_outputs(model, x)).numpy() for policy, model in both]
        return np.maximum(np.mean(found, axis=0), 0.0)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the networks into a folder and return the rest as plain values."""
        files = [f"model_{number}.keras" for number in range(1, len(self.models) + 1)]
        files = ["model.keras"] if len(files) == 1 else files
        for file, model in zip(files, self.models, strict=True):
            model.save(folder / file)
        policies = self.policies and [policy.get_config() for policy in self.policies]
        return {"networks": files, "policies": policies}

    def _logits(self, x: np.ndarray) -> list[np.ndarray]:
        outputs = [_outputs(model, x) for model in self.models]
        if self.policies is None:
            return outputs
        both = zip(self.policies, outputs, strict=True)
        return [np.asarray(policy.logits(one)) for policy, one in both]


class Trees:
    """LightGBM's trees.

    Args:
        text: As LightGBM writes them.
        start: The logits that they add to.
        task: As for `Dataset`.
    """

    def __init__(self, text: str, start: Sequence[float], task: str):
        self.text = text
        self.start = np.asarray(start)
        self.task = task
        self._booster = import_lightgbm().Booster(model_str=text)

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Return probabilities of prepared features, as `evaluate.probabilities` gives them."""
        return probabilities(raw_outputs(self._booster, x) + self.start, self.task)

    def values(self, x: np.ndarray) -> None:
        """Trees predict no value."""

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the trees into a folder and return the rest as plain values."""
        (folder / _TREES).write_text(self.text, encoding="utf-8")
        return {"trees": _TREES, "start": self.start.tolist()}


Models = Networks | Trees


def load_models(folder: Path, record: Mapping[str, Any], task: str) -> Models:
    """Return the models of a folder.

    Args:
        folder: Where they are.
        record: What `save` returned.
        task: As for `Dataset`.

    Raises:
        FileNotFoundError: A file is gone.
        ImportError: There are trees, and LightGBM is not installed.
        ValueError: A file is damaged, or holds code.
    """
    if "trees" in record:
        return Trees((folder / record["trees"]).read_text("utf-8"), record["start"], task)
    models = [load_model(folder / file, compile=False) for file in record["networks"]]
    policies: Any = record["policies"] and [get_policy(one) for one in record["policies"]]
    return Networks(models, task, policies)


def _outputs(model: Callable[..., Any], x: np.ndarray) -> np.ndarray:
    starts = range(0, max(len(x), 1), _BLOCK)
    blocks = [np.asarray(model(x[start : start + _BLOCK], training=False)) for start in starts]
    return np.concatenate(blocks)
