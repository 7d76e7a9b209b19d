"""`DecisionTuner`: tune the decision, not the model."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import tensorflow as tf
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from policygrad_metrics.core.checks import check_whole, choose
from policygrad_metrics.decision.curve import ThresholdCurve
from policygrad_metrics.decision.floors import PENALTY, Floored, read_floors
from policygrad_metrics.decision.frank_wolfe import frank_wolfe
from policygrad_metrics.decision.reading import (
    number_groups,
    read_costs,
    read_probabilities,
    read_truth,
    read_weight,
)
from policygrad_metrics.decision.rules import ExpectedF, Rule, plain_rule
from policygrad_metrics.decision.scorer import Scorer, adds_up_counts
from policygrad_metrics.decision.standard_error import GROUPS, error_of_gain, grouped
from policygrad_metrics.decision.sweeps import TIE, best_cut_points, best_offsets, best_thresholds
from policygrad_metrics.rewards import Reward, get_reward

#: Of fewer rows than this a tuned decision must gain on rows that did not choose it as well.
FEW_ROWS = 200
#: Parts of the rows that are left out in turn to see that.
FOLDS = 5

#: The rules that `DecisionTuner(method=)` can tune; "auto" takes that of reward and classes.
METHODS = ("auto", "threshold", "offsets", "cut_points", "frank_wolfe", "expected_f")


@dataclasses.dataclass(eq=False, repr=False)
class DecisionTuner(BaseEstimator):
    """Turns probabilities of any model into labels, tuned to a reward on held-out data.

    - "threshold": label 1 where p exceeds a threshold, one per label column. The search is exact
      for up to two million distinct scores of one column. On calibrated p the F1-optimal threshold
      is F1* / 2 (Lipton, Elkan, Naryanaswamy 2014).
    - "offsets": arg-max_k w_k p_k by coordinate ascent on log w. On the fitting data it is never
      worse than the arg-max.
    - "cut_points": for ordered levels, cuts on the expected level sum_k k p_k.
    - "frank_wolfe": arg-max_j sum_i G_ij p_i with a table of gains (Narasimhan 2015).
    - "expected_f": as many of the top-ranked examples of the set given to `predict` as maximise
      its expected F-beta. It takes p to be calibrated (Ye 2012), and fits nothing.
    - "auto": "threshold" for two classes and label columns, "offsets" for more classes, the
      better of "offsets" and "cut_points" for ordered ones.

    The offsets are tuned in passes over the K classes, from two starts, with at most 20 passes
    each for K <= 10 and 6 for K > 33. For a reward of confusion counts one pass takes
    O(K N log N). It scores every candidate while their confusion tables are few. Else it chooses
    at most 64 per class (see `paths.py`). K = 30 classes and N = 5,000 rows take 1 to 2 seconds
    on one core.

    Args:
        reward: a name, a `Reward`, or a function `f(y_true, y_pred) -> float`.
        method: one of the above.
        multilabel: whether probabilities `[N, L]` are of L label columns, not of L classes.
        ordinal: whether the classes are ordered.
        plain: the default decision, a name of `plain_rule`: "arg_max" (two classes: above one
            half) or "rounded_level".
        one_standard_error: whether to keep the default decision unless the tuned one gains more
            than one standard error on the fitting data (the rule of Breiman, Friedman, Olshen,
            Stone 1984, with a jackknife). On a small held-out part the best of many decisions is
            often a lucky one: of fewer than 200 rows, decisions tuned on four fifths must also gain
            on the fifth left out, and fewer than 20 rows change nothing. None: for "auto" only; a
            method that is named is taken as it is.
        series: whether the rows are in order of time. What is left out in the comparisons of
            `one_standard_error` are then blocks in time, as neighbours depend on each other.
        max_calls: most calls of a function of your own per number and pass. Its candidates are
            evenly spaced ranks if there are more.
        subject_to: constraints that the decision must keep, such as `at_least("precision", 0.9)`
            or "precision >= 0.9", or several of them. The best of all decisions that keep them is
            taken; if none does, the nearest, with a warning. For rewards of confusion counts and
            the methods "threshold", "offsets" and "cut_points".
        margin: "standard_error" asks each constraint to be kept by one standard error of its rate,
            so that it holds on other data more often than not; None by nothing.

    Attributes:
        excess_: by how much each constraint is broken on the fitting data, by its text; negative
            where it is kept. feasible_: whether all are kept, the margin included.
        rule_: the decision; `rule_.describe()` says it in words.
        method_: the method that "auto" chose.
        score_: the reward on the fitting data; plain_score_: that of the default decision.

    >>> import numpy as np
    >>> p = np.array([0.1, 0.2, 0.3, 0.4] * 10)
    >>> tuner = DecisionTuner("f1").fit(p, [0, 1, 0, 1] * 10)
    >>> tuner.rule_.describe(), tuner.predict(np.array([0.12, 0.25])).tolist()
    ('p > 0.15', [0, 1])
    >>> round(tuner.plain_score_, 3), round(tuner.score_, 3)
    (0.0, 0.8)
    """

    reward: str | Reward | Callable[..., float] = "f1"
    method: str = "auto"
    _: dataclasses.KW_ONLY
    multilabel: bool = False
    ordinal: bool = False
    plain: str = "arg_max"
    one_standard_error: bool | None = None
    series: bool = False
    max_calls: int = 100
    subject_to: Any = None
    margin: str | None = None

    def fit(
        self, probabilities: Any, y_true: Any, sample_weight: Any = None, groups: Any = None
    ) -> Self:
        """Tune the decision.

        Args:
            probabilities: of data that the model was not trained on: `[N]` or `[N, 1]` (of
                class 1) or `[N, K]`; with `multilabel=True` `[N, L]`.
            y_true: labels 0 ... K-1, `[N]`; with `multilabel=True` 0 or 1, `[N, L]`. For the reward
                `ExampleCosts` `np.column_stack([y, costs])`; `predict` needs no costs.
            sample_weight: `[N]`, not negative.
            groups: the group of each example, `[N]`, for constraints on groups.

        Returns:
            The tuner itself.

        Warns:
            UserWarning: no decision keeps the constraints.

        Raises:
            ValueError: the method is unknown or does not fit the data, a probability is outside
                [0, 1], a label outside the classes, or shapes do not belong together; constraints
                contradict each other or do not fit the reward or the method.
        """
        choose("method", self.method, METHODS)
        if isinstance(self.max_calls, bool) or not self.max_calls >= 2:
            raise ValueError(f"max_calls must be 2 or more; it is {self.max_calls!r}.")
        reward, p, truth, weight, costs = self._read(probabilities, y_true, sample_weight)
        self._check_method(reward, p.shape[-1])
        floored = self._floored(reward)
        G = 1 if floored is None else floored.constraints.groups
        if groups is not None and G == 1:
            raise ValueError("groups= is for constraints on groups; subject_to= holds none.")
        group = number_groups(groups, len(p), G) if G > 1 else None
        if weight is not None:
            kept = weight[:, 0] > 0.0
            if not kept.any():
                raise ValueError("sample_weight must not be zero throughout.")
            p, truth, weight = p[kept], truth[kept], weight[kept]
            group, costs = (x if x is None else x[kept] for x in (group, costs))
        self.n_columns_, self.n_classes_ = p.shape[1:]
        scorer = bare = Scorer(reward, truth, weight, self.n_classes_, self.max_calls, costs=costs)
        if floored is not None:
            scorer = Scorer(floored, truth, weight, self.n_classes_, group=group, groups=G)
            self._unknown = floored.unknown(scorer.tables(truth))
            if self._unknown and group is not None:
                raise ValueError(
                    f"the examples hold none that {', '.join(self._unknown)} could be a share of "
                    "(groups are numbered in the order of their sorted values), so no gap can be "
                    "told. Give examples of every group and class."
                )
        labels = self._choose_rule(reward, p, (scorer, bare))
        self._scored = scorer.reward
        self._curve = None
        if p.shape[1:] == (1, 2) and scorer.by_counts:
            columns = (p[:, 0, 1], scorer.row[:, 0], scorer.weight[:, 0])
            self._curve = ThresholdCurve.of(*columns, scorer.table_rows)
        if floored is not None:
            self._say_what_is_kept(scorer, labels)
        return self

    def _read(self, probabilities: Any, y_true: Any, sample_weight: Any) -> tuple[Any, ...]:
        """The reward as it scores these data, and what is read of them: p, truth, weight, costs."""
        reward = get_reward(self.reward)
        if reward.ranks:
            about = "chooses a decision, and the reward scores a ranking; use one of labels"
            raise ValueError(f"DecisionTuner {about}. It is {reward.name!r}.")
        if self.multilabel:
            reward = reward.for_multilabel()
        p = read_probabilities(probabilities, self.multilabel)
        y_true, costs = read_costs(y_true, reward, p)
        truth = read_truth(y_true, p, self.multilabel)
        return reward, p, truth, read_weight(sample_weight, p.shape[:2]), costs

    def _floored(self, reward: Reward) -> Floored | None:
        """The reward under the constraints, if there are any."""
        if self.subject_to is None:
            return None
        if self.method in ("frank_wolfe", "expected_f"):
            raise ValueError(
                f"method={self.method!r} knows no constraints; use 'auto' with subject_to=."
            )
        return read_floors(reward, self.subject_to, self.margin, self.multilabel)

    def _say_what_is_kept(self, scorer: Scorer, labels: np.ndarray) -> None:
        floored: Any = scorer.reward
        table = floored.by_group(tf.constant(scorer.tables(labels)))
        worst = floored.constraints.worst_of_each(table)
        self.excess_ = {str(constraint): float(excess) for constraint, excess in worst}
        self.feasible_ = scorer.score(labels) > -PENALTY
        if not self.feasible_:
            broken = [f"'{text}' (off by {x:.3g})" for text, x in self.excess_.items() if x > 0.0]
            margin = "" if self.margin is None else " with a margin of one standard error"
            warnings.warn(
                f"no decision of method {self.method_!r} keeps the constraints on these "
                f"{len(labels)} examples{margin}. The nearest, {self.rule_.describe()}, "
                + (f"breaks {', '.join(broken)}" if broken else "keeps them without the margin")
                + (
                    f". The examples hold none that {', '.join(self._unknown)} could be a share of."
                    if self._unknown
                    else ". Move the bound, give more examples, or train a better model."
                ),
                stacklevel=3,
            )

    def predict(self, probabilities: Any) -> np.ndarray:
        """Return labels, int64 `[N]` (with `multilabel=True` `[N, L]`).

        Args:
            probabilities: as for `fit`.

        Raises:
            ValueError: they have another number of classes or columns than at `fit`.
        """
        check_is_fitted(self, "rule_")
        p = read_probabilities(probabilities, self.multilabel)
        if p.shape[1:] != (self.n_columns_, self.n_classes_):
            raise ValueError(
                f"probabilities must have the {self.n_columns_} label columns and "
                f"{self.n_classes_} classes of fit; they have shape {np.shape(probabilities)}."
            )
        labels = self.rule_.decide(p).astype(np.int64)
        return labels if self.multilabel else labels[:, 0]

    def score(self, probabilities: Any, y_true: Any, sample_weight: Any = None) -> float:
        """Return the reward of the decisions; arguments as for `fit`."""
        labels = self.predict(probabilities)
        reward, p, truth, weight, costs = self._read(probabilities, y_true, sample_weight)
        scorer = Scorer(reward, truth, weight, self.n_classes_, costs=costs)
        return scorer.score(labels.reshape(p.shape[:2]))

    def plot(self, ax: Any = None, *, n_bootstrap: int = 200, seed: int = 0) -> Any:
        """Draw the reward and the constrained rates against the threshold.

        Args:
            ax: matplotlib's axes; None for a new figure.
            n_bootstrap: samples of the bands, which reach from the 5th to the 95th percentile.
            seed: of these.

        Returns:
            The axes.

        Raises:
            ValueError: there is not one threshold, or the reward is no function of counts.
        """
        check_is_fitted(self, "rule_")
        check_whole("n_bootstrap", n_bootstrap, 1)
        threshold = getattr(self.rule_, "thresholds", (0.5,))[0]
        if self._curve is None:
            raise ValueError(
                "plot() shows decisions between two classes, by a reward of confusion counts; "
                f"there are {self.n_classes_} classes in {self.n_columns_} label columns and the "
                f"reward is {self._scored.name!r}."
            )
        return self._curve.plot(self._scored, threshold, ax, n_bootstrap, seed)

    def _check_method(self, reward: Reward, num_classes: int) -> None:
        if self.method == "threshold" and num_classes != 2:
            raise ValueError(
                f"method='threshold' needs two classes; there are {num_classes}. Use 'offsets'."
            )
        if self.method in ("offsets", "cut_points") and self.multilabel:
            raise ValueError(
                f"method={self.method!r} chooses one class per example, but the data are "
                "multi-label. Use 'threshold'."
            )
        if self.method == "expected_f":
            _expected_f(reward, num_classes)

    def _choose_rule(self, reward: Reward, p: np.ndarray, scorers: tuple[Scorer, Scorer]) -> Any:
        """Set the rule and its scores; return its labels. For `scorers` see `_is_sure`."""
        scorer, bare = scorers
        plain = plain_rule(self.plain, self.n_classes_)
        before = plain.decide(p)
        self.method_, self.rule_ = self._tune(reward, p, scorer)
        after = self.rule_.decide(p)
        careful = self.one_standard_error
        if careful is None:
            careful = self.method == "auto"
        self.plain_score_, self.score_ = bare.score(before), bare.score(after)
        if not careful or self._is_sure(reward, p, scorers, before, after):
            return after
        self.rule_, self.score_ = plain, self.plain_score_
        return before

    def _is_sure(
        self,
        reward: Reward,
        p: np.ndarray,
        scorers: tuple[Scorer, Scorer],
        before: np.ndarray,
        after: np.ndarray,
    ) -> bool:
        """Whether the tuned decision gains more than luck would explain.

        Args:
            reward, p: the reward and the probabilities.
            scorers: with the constraints and without.
            before, after: labels by default and tuned.
        """
        N = len(p)
        scorer, bare = scorers
        plain_score = self.plain_score_ if scorer is bare else scorer.score(before)
        if plain_score <= -PENALTY:
            return True  # the default decision breaks a constraint
        gain = self.score_ - self.plain_score_
        if N < GROUPS or gain <= error_of_gain(bare, before, after, series=self.series):
            return False
        if N >= FEW_ROWS:
            return True
        # The best of many decisions on few rows: does it gain on rows that did not choose it?
        labels, fold = before.copy(), grouped(N, FOLDS, series=self.series)
        for left_out in (fold == number for number in range(FOLDS)):
            _, rule = self._tune(reward, p[~left_out], scorer.of_rows(~left_out))
            labels[left_out] = rule.decide(p[left_out])
        return scorer.score(labels) > plain_score + TIE

    def _tune(self, reward: Reward, p: np.ndarray, scorer: Scorer) -> tuple[str, Rule]:
        K = p.shape[-1]
        if self.method == "expected_f":
            return self.method, _expected_f(reward, K)
        if self.method == "frank_wolfe":
            return self.method, frank_wolfe(p, scorer)
        if self.method == "threshold" or (self.method == "auto" and K == 2):
            return "threshold", best_thresholds(p, scorer)
        if self.method == "cut_points":
            return self.method, best_cut_points(p, scorer)
        offsets = best_offsets(p, scorer)
        if self.method == "auto" and self.ordinal:
            cuts = best_cut_points(p, scorer)
            gain = scorer.score(cuts.decide(p)) - scorer.score(offsets.decide(p))
            if gain > TIE:
                return "cut_points", cuts
        return "offsets", offsets


def can_tune(method: str, reward: Reward, num_classes: int) -> bool:
    """Return whether a method of `DecisionTuner` can tune for a reward.

    Args:
        method: one of its methods.
        reward: with `multilabel` set as the data are.
        num_classes: K.

    >>> can_tune("expected_f", get_reward("f1"), 2), can_tune("expected_f", get_reward("f1"), 3)
    (True, False)
    """
    choose("method", method, METHODS)
    if method == "frank_wolfe":
        return adds_up_counts(reward)
    if method == "expected_f":
        try:
            _expected_f(reward, num_classes)
        except ValueError:
            return False
    return method != "threshold" or num_classes == 2


def _expected_f(reward: Reward, num_classes: int) -> ExpectedF:
    names = ("beta", "average", "labels", "zero_division")  # only F-beta has a beta
    found: dict[str, Any] = {name: getattr(reward, name, None) for name in names}
    average = "macro" if reward.multilabel else "binary"
    fits = found["beta"] and found["average"] == average and found["labels"] is None
    if not fits or num_classes != 2:
        raise ValueError(
            "method='expected_f' maximises F-beta of class 1 of two classes (f1, f2, ...), or of "
            f"each label column (f1_macro); the reward is {reward.name!r}. Use 'threshold', "
            "'offsets' or 'frank_wolfe'."
        )
    return ExpectedF(found["beta"], found["zero_division"])
