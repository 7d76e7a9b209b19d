"""From outputs to scores: decisions as they come, and tuned on the validation part (floor 5).

The test part is scored once per column, after everything has been chosen.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy import special

from policygrad_metrics.decision import DecisionTuner, plain_rule
from policygrad_metrics.rewards import Reward, get_reward


@dataclasses.dataclass(frozen=True)
class Scorer:
    """How labels of one data set are scored.

    Args:
        reward: The reward, ready for label columns if the task has them.
        task: "binary", "multiclass", "ordinal" or "multilabel".
        num_classes: K; 2 for label columns.
    """

    reward: Reward
    task: str
    num_classes: int

    @classmethod
    def of(cls, reward: str, task: str, num_classes: int) -> Scorer:
        """Return the scorer of a reward's name; the errors are those of `get_reward`."""
        found = get_reward(reward)
        multilabel = task == "multilabel"
        return cls(
            found.for_multilabel() if multilabel else found, task, 2 if multilabel else num_classes
        )

    def score(self, y_true: np.ndarray, labels: np.ndarray) -> float:
        """Return the reward of labels shaped like the truth."""
        return float(self.reward(y_true, labels, num_classes=self.num_classes))

    def confusion(self, y_true: np.ndarray, labels: np.ndarray) -> list[Any]:
        """Return counts `[K][K]`, rows the truth; multi-label: one `[2][2]` per label.

        >>> Scorer.of("f1", "binary", 2).confusion(np.array([0, 1, 1]), np.array([0, 0, 1]))
        [[1, 0], [1, 1]]
        """
        K = self.num_classes
        if self.task == "multilabel":
            cells = (K * y_true + labels).T
            return [np.bincount(one, minlength=K * K).reshape(K, K).tolist() for one in cells]
        return np.bincount(K * y_true + labels, minlength=K * K).reshape(K, K).tolist()


def probabilities(outputs: np.ndarray, task: str) -> np.ndarray:
    """Return probabilities float64 of a network's outputs: `[N]` binary, `[N, K]`, or `[N, L]`.

    >>> probabilities(np.array([[0.0]]), "binary")
    array([0.5])
    """
    outputs = np.asarray(outputs, np.float64)
    if task == "binary":
        return special.expit(outputs[:, 0])
    if task == "multilabel":
        return special.expit(outputs)
    return special.softmax(outputs, axis=1)


def decide(chances: np.ndarray, task: str, num_classes: int, decision: str) -> np.ndarray:
    """Return the decision as it comes.

    Args:
        chances: Probabilities as `probabilities` gives them.
        task: The task.
        num_classes: K; 2 for label columns.
        decision: A name of `decision.plain_rule`, as the method says.

    >>> decide(np.array([[0.2, 0.5, 0.3]]), "ordinal", 3, "arg_max")
    array([1])
    """
    two = task in ("binary", "multilabel")
    tables = np.stack([1.0 - chances, chances], axis=-1) if two else chances
    tables = tables if task == "multilabel" else tables[:, None, :]
    labels = plain_rule(decision, num_classes).decide(tables)
    return labels if task == "multilabel" else labels[:, 0]


def evaluate(
    scorer: Scorer,
    decision: str,
    valid: np.ndarray,
    y_valid: np.ndarray,
    test: np.ndarray,
    y_test: np.ndarray,
) -> dict[str, Any]:
    """Return the fields of a `Run` that tell of decisions.

    Args:
        scorer: How to score.
        decision: The decision as it comes, see `decide`.
        valid: Probabilities of the validation part.
        y_valid: Its labels.
        test: Probabilities of the test part.
        y_test: Its labels.
    """
    task, K = scorer.task, scorer.num_classes
    tuner = DecisionTuner(
        scorer.reward, multilabel=task == "multilabel", ordinal=task == "ordinal"
    ).fit(valid, y_valid)
    plain, tuned = decide(test, task, K, decision), tuner.predict(test)
    return {
        "plain": scorer.score(y_test, plain),
        "tuned": scorer.score(y_test, tuned),
        "valid_plain": scorer.score(y_valid, decide(valid, task, K, decision)),
        "valid_tuned": float(tuner.score_),
        "confusion_plain": scorer.confusion(y_test, plain),
        "confusion_tuned": scorer.confusion(y_test, tuned),
        "decision": tuner.rule_.describe(),
    }
