"""Decision rules: from probabilities `[N, C, K]` to labels `[N, C]`.

N examples, C label columns (1 unless multi-label, then K = 2), K classes.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.core.records import as_tuples
from policygrad_metrics.decision.expected_f import best_count

#: Probabilities below this share of an example's largest one count as this share.
FLOOR = 1e-35
#: Logarithms of weights further apart than this decide as they do so far apart.
SPREAD = 85.0


class Rule(abc.ABC):
    """A decision rule; members are frozen dataclasses of plain numbers."""

    @abc.abstractmethod
    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return int64 labels `[N, C]` for probabilities `[N, C, K]`."""

    @abc.abstractmethod
    def describe(self) -> str:
        """Return the rule in words, short enough for a table."""


@dataclasses.dataclass(frozen=True)
class ArgMax(Rule):
    """The most probable class; of equally probable ones the lowest.

    >>> ArgMax().decide(np.array([[[0.4, 0.6]], [[0.5, 0.5]]])).tolist()
    [[1], [0]]
    """

    def decide(self, probabilities):
        return np.argmax(probabilities, axis=-1)

    def describe(self):
        return "arg-max"


@dataclasses.dataclass(frozen=True)
class Thresholds(Rule):
    """Label 1 where its probability exceeds the column's threshold.

    Args:
        thresholds: one number per label column.

    >>> Thresholds((0.3,)).describe()
    'p > 0.3'
    """

    thresholds: tuple[float, ...]

    def decide(self, probabilities):
        return (probabilities[..., 1] > np.asarray(self.thresholds)).astype(np.int64)

    def describe(self):
        return "p > " + _numbers(self.thresholds)


@dataclasses.dataclass(frozen=True)
class Offsets(Rule):
    """arg-max_k w_k p_k: offsets log w_k on the log-probabilities.

    A probability counts as at least 1e-35 of the largest one of its example.

    Args:
        weights: w, one positive number per class.

    >>> Offsets((1.0, 3.0)).decide(np.array([[[0.7, 0.3]]])).tolist()
    [[1]]
    """

    weights: tuple[float, ...]

    def decide(self, probabilities):
        return np.argmax(relative(probabilities) * np.asarray(self.weights), axis=-1)

    def describe(self):
        return "arg-max w p, w = " + _numbers(self.weights)


@dataclasses.dataclass(frozen=True)
class CutPoints(Rule):
    """The number of cut-points below the expected level `sum_k k p_k`.

    Args:
        cuts: K - 1 numbers, not decreasing, in levels.

    >>> CutPoints((0.5, 1.5)).decide(np.array([[[0.2, 0.6, 0.2]]])).tolist()
    [[1]]
    """

    cuts: tuple[float, ...]

    def decide(self, probabilities):
        return np.searchsorted(np.asarray(self.cuts), expected_level(probabilities), side="left")

    def describe(self):
        return "E[level] cut at " + _numbers(self.cuts)


@dataclasses.dataclass(frozen=True)
class PluginGain(Rule):
    """arg-max_j sum_i G[i, j] p_i: the best label under a table of gains.

    Args:
        gains: per label column K rows (truth i) of K gains (label j).
    """

    gains: tuple[tuple[tuple[float, ...], ...], ...]

    def decide(self, probabilities):
        scores = np.einsum("nci,cij->ncj", probabilities, np.asarray(self.gains))
        return np.argmax(scores, axis=-1)

    def describe(self):
        size = len(self.gains[0])
        return f"plug-in with a {size} x {size} table of gains"


@dataclasses.dataclass(frozen=True)
class ExpectedF(Rule):
    """As many of the top-ranked examples as maximise the expected F-beta of the set at hand.

    Unlike the other rules it reads the whole set that it is given (Ye et al. 2012).

    Args:
        beta: of F-beta; zero_division: its value of 0/0.
    """

    beta: float = 1.0
    zero_division: float = 0.0

    def decide(self, probabilities):
        labels = np.zeros(probabilities.shape[:2], np.int64)
        for column, p in enumerate(probabilities[..., 1].T):
            order = np.argsort(-p, kind="stable")
            labels[order[: best_count(p[order], self.beta, self.zero_division)], column] = 1
        return labels

    def describe(self):
        return f"largest expected F{self.beta:g} of the set"


#: The rules that decide about each example by itself, by their names in a record.
_RULES = {rule.__name__: rule for rule in (ArgMax, Thresholds, Offsets, CutPoints, PluginGain)}


def rule_record(rule: Any) -> dict[str, Any]:
    """Return a rule as plain values.

    >>> rule_record(Thresholds((0.3,)))
    {'rule': 'Thresholds', 'thresholds': (0.3,)}
    """
    return {"rule": type(rule).__name__, **dataclasses.asdict(rule)}


def read_rule(record: Mapping[str, Any]) -> Rule:
    """Return the rule of a record, which may come from JSON.

    Raises:
        ValueError: The rule is not known, or depends on the whole set that it labels.

    >>> read_rule({"rule": "Thresholds", "thresholds": [0.3]})
    Thresholds(thresholds=(0.3,))
    """
    fields = {name: as_tuples(value) for name, value in record.items() if name != "rule"}
    return _RULES[choose("decision['rule']", record.get("rule"), _RULES)](**fields)


def plain_rule(decision: str = "arg_max", num_classes: int = 2) -> Rule:
    """Return the default decision, the one before any tuning.

    Args:
        decision: "arg_max", "rounded_level" (the expected level, rounded) or "median_level" (the
            lowest level that half of the probability does not exceed: of least expected error).
        num_classes: K.

    Raises:
        ValueError: the name is not known.

    >>> plain_rule("rounded_level", 3)
    CutPoints(cuts=(0.5, 1.5))
    >>> plain_rule("median_level", 3).decide(np.array([[[0.45, 0.1, 0.45]]])).tolist()
    [[1]]
    """
    choose("decision", decision, ("arg_max", "rounded_level", "median_level"))
    if decision == "arg_max":
        return ArgMax()
    if decision == "median_level":
        levels = np.arange(num_classes, dtype=float)
        errors = np.abs(levels[:, None] - levels)
        return PluginGain((tuple(map(tuple, (-errors).tolist())),))
    return CutPoints(tuple(k + 0.5 for k in range(num_classes - 1)))


def expected_level(probabilities: np.ndarray) -> np.ndarray:
    """Return `sum_k k p_k`, `[N, C]`."""
    return probabilities @ np.arange(probabilities.shape[-1], dtype=np.float64)


def relative(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities `[..., K]` over the largest one of each example, at least 1e-35.

    >>> relative(np.array([[0.5, 0.25, 0.0], [0.0, 0.0, 0.0]])).tolist()
    [[1.0, 0.5, 1e-35], [1.0, 1.0, 1.0]]
    """
    largest = probabilities.max(axis=-1, keepdims=True)
    ones = np.ones_like(probabilities)
    shares = np.divide(probabilities, largest, out=ones, where=largest > 0.0)
    return np.maximum(shares, FLOOR)


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
