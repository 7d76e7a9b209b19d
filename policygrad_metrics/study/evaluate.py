"""From outputs to scores: the default decision, and the one tuned on the validation part.

The test part is scored once per column, after everything has been chosen.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from policygrad_metrics.decision import DecisionTuner, Rule, plain_rule
from policygrad_metrics.decision.floors import Floored
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.rewards.confusion import confusion_counts
from policygrad_metrics.rewards.inequalities import Constraints
from policygrad_metrics.study.constrained import broken_by
from policygrad_metrics.study.records import Predictions


@dataclasses.dataclass(frozen=True)
class Scorer:
    """How labels of one data set are scored.

    Args:
        reward: The reward, ready for label columns if the task has them.
        task: "binary", "multiclass", "ordinal", "multilabel" or "ranking".
        num_classes: K; 2 for label columns.
        series: Whether the rows are in order of time.
        constraints: What tuned decisions must keep, see `study.constrained`; None for nothing.
    """

    reward: Reward
    task: str
    num_classes: int
    series: bool = False
    constraints: Constraints | None = None

    @classmethod
    def of(
        cls,
        reward: str,
        task: str,
        num_classes: int,
        *,
        series: bool = False,
        constraints: Constraints | None = None,
    ) -> Scorer:
        """Return the scorer of a reward's name; the task of rankings is "ranking".

        Raises:
            ValueError: As of `get_reward`; or the reward ranks rows, but there are not two classes.
        """
        found = get_reward(reward)
        if found.ranks and task != "binary":
            raise ValueError(
                f"reward {reward!r} ranks rows of two classes, and these are {task}: give a target "
                "that is 1 for one class and 0 for the others, or take a reward of labels."
            )
        task = "ranking" if found.ranks else task
        multilabel = task == "multilabel"
        found = found.for_multilabel() if multilabel else found
        return cls(found, task, 2 if multilabel else num_classes, series, constraints)

    def score(self, y_true: np.ndarray, labels: np.ndarray) -> float:
        """Return the reward of labels shaped like the truth, or of scores that rank the rows."""
        if self.reward.ranks:
            return float(self.reward(y_true, labels))
        return float(self.reward(y_true, labels, num_classes=self.num_classes))

    @property
    def floored(self) -> Reward:
        """The reward that weights are kept by: where a constraint is broken, far below 0."""
        if self.constraints is None:
            return self.reward
        return Floored(self.reward, self.constraints, multilabel=self.reward.multilabel)

    def confusion(self, y_true: np.ndarray, labels: np.ndarray) -> list[Any]:
        """Return counts `[K][K]`, rows the truth; multi-label: one `[2][2]` per label.

        >>> Scorer.of("f1", "binary", 2).confusion(np.array([0, 1, 1]), np.array([0, 0, 1]))
        [[1, 0], [1, 1]]
        """
        truth, found = (x.reshape(len(y_true), -1).astype(np.int32) for x in (y_true, labels))
        counts = confusion_counts(truth, found[None], np.ones(truth.shape), self.num_classes)
        tables = counts[0].numpy().astype(int).tolist()
        return tables if self.task == "multilabel" else tables[0]

    def decide(self, chances: np.ndarray, decision: str) -> np.ndarray:
        """Return the labels of a decision that needs no tuning.

        Args:
            chances: Probabilities as `probabilities` gives them.
            decision: A name of `decision.plain_rule`.

        >>> Scorer.of("accuracy", "ordinal", 3).decide(np.array([[0.2, 0.5, 0.3]]), "arg_max")
        array([1])
        """
        return decide(chances, plain_rule(decision, self.num_classes), self.task)


def decide(chances: np.ndarray, rule: Rule, task: str) -> np.ndarray:
    """Return the labels of probabilities as `probabilities` gives them."""
    if task in ("binary", "multilabel"):
        chances = np.stack([1.0 - chances, chances], axis=-1)
    if task == "multilabel":
        return rule.decide(chances)
    return rule.decide(chances[:, None, :])[:, 0]


def probabilities(outputs: np.ndarray, task: str) -> np.ndarray:
    """Return probabilities float64 of a network's outputs: `[N]` binary, `[N, K]`, or `[N, L]`.

    Of a ranking they are the scores `[N]`, as saturated probabilities would tie.

    >>> probabilities(np.array([[0.0]]), "binary")
    array([0.5])
    """
    outputs = np.asarray(outputs, np.float64)
    if task == "ranking":
        return outputs[:, 0]
    if task == "binary":
        return special.expit(outputs[:, 0])
    if task == "multilabel":
        return special.expit(outputs)
    return special.softmax(outputs, axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """What one trial says of two parts.

    Args:
        valid: Probabilities as `probabilities` gives them.
        test: The same of the test part.
        values: Numbers that the test labels are cut from, `[N]`, of a method that predicts them.
    """

    valid: np.ndarray
    test: np.ndarray
    values: np.ndarray | None = None

    @classmethod
    def mean(cls, members: Sequence[Outcome]) -> Outcome:
        """Return the mean of what several networks say.

        >>> sure, torn = Outcome(np.ones(1), np.zeros(1)), Outcome(np.full(1, 0.5), np.zeros(1))
        >>> Outcome.mean([sure, torn]).valid.tolist()
        [0.75]
        """
        each = zip(*((one.valid, one.test, one.values) for one in members), strict=True)
        mean: Any = [None if parts[0] is None else np.mean(parts, axis=0) for parts in each]
        return cls(*mean)


def evaluate_trials(
    scorer: Scorer,
    decision: str,
    trials: Sequence[Outcome | None],
    y_valid: np.ndarray,
    y_test: np.ndarray,
    *,
    tuning: str = "auto",
) -> dict[str, Any]:
    """Return the fields of a `Run` that tell of decisions; none if all trials diverged.

    For each column the trial is the one with the best validation reward, the first of equal ones;
    no other is scored on the test part.

    Args:
        scorer: How to score.
        decision: The default decision, a name of `decision.plain_rule`.
        trials: One or more, None for one that diverged.
        y_valid: Labels of the validation part.
        y_test: Labels of the test part.
        tuning: How the decision is tuned, a method of `DecisionTuner`.
    """
    known = {number: trial for number, trial in enumerate(trials) if trial is not None}
    if not known:
        return {}
    if scorer.reward.ranks:
        return _evaluate_rankings(scorer, known, y_valid, y_test)
    plain = {
        number: scorer.score(y_valid, scorer.decide(trial.valid, decision))
        for number, trial in known.items()
    }
    tuners = {
        number: tuned_decision(scorer, decision, tuning, trial.valid, y_valid)
        for number, trial in known.items()
    }
    best_plain = max(plain, key=lambda number: plain[number])
    best_tuned = max(tuners, key=lambda number: standing(tuners[number]))
    shown, tuner = known[best_plain], tuners[best_tuned]
    labels, tuned = scorer.decide(shown.test, decision), tuner.predict(known[best_tuned].test)
    values = None if shown.values is None else shown.values.astype(np.float32)
    confusions = [scorer.confusion(y_test, found) for found in (labels, tuned)]
    broken = [broken_by(scorer.constraints, one) for one in confusions]
    return {
        "plain": scorer.score(y_test, labels),
        "tuned": scorer.score(y_test, tuned),
        "valid_plain": plain[best_plain],
        "valid_tuned": float(tuner.score_),
        "confusion_plain": confusions[0],
        "confusion_tuned": confusions[1],
        "broken_plain": broken[0],
        "broken_tuned": broken[1],
        "kept": getattr(tuner, "feasible_", True),
        "decision": tuner.rule_.describe(),
        "trial_plain": best_plain,
        "trial_tuned": best_tuned,
        "predictions": Predictions(
            shown.test.astype(np.float32), labels.astype(np.int16), tuned.astype(np.int16), values
        ),
    }


def _evaluate_rankings(
    scorer: Scorer, known: Mapping[int, Outcome], y_valid: np.ndarray, y_test: np.ndarray
) -> dict[str, Any]:
    """The same of rankings, which need no decision: both columns are the one score."""
    valid = {number: scorer.score(y_valid, trial.valid) for number, trial in known.items()}
    best = max(valid, key=lambda number: valid[number])
    test = scorer.score(y_test, known[best].test)
    return {
        **dict.fromkeys(("plain", "tuned"), test),
        **dict.fromkeys(("valid_plain", "valid_tuned"), valid[best]),
        **dict.fromkeys(("trial_plain", "trial_tuned"), best),
        "predictions": Predictions(known[best].test.astype(np.float32)),
    }


def tuned_decision(
    scorer: Scorer, decision: str, tuning: str, chances: np.ndarray, y_valid: np.ndarray
) -> DecisionTuner:
    """The decision that is tuned on the validation part, under the constraints if there are any."""
    constraints = scorer.constraints
    tuner = DecisionTuner(
        scorer.reward,
        tuning,
        multilabel=scorer.task == "multilabel",
        ordinal=scorer.task == "ordinal",
        plain=decision,
        one_standard_error=True,
        series=scorer.series,
        subject_to=constraints and constraints.items,
        margin=constraints and "standard_error",
    )
    with warnings.catch_warnings():
        # The report tells how many runs have no decision that keeps the constraints.
        warnings.filterwarnings("ignore", "no decision of method")
        return tuner.fit(chances, y_valid)


def standing(tuner: DecisionTuner) -> tuple[bool, float]:
    """What tells the better of two tuned decisions: the reward of those that keep the constraints.

    Of others it is by how little they break them.
    """
    kept = getattr(tuner, "feasible_", True)
    return kept, float(tuner.score_ if kept else -max(tuner.excess_.values()))
