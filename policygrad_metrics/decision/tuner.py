"""`DecisionTuner`: tune the decision, not the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from policygrad_metrics.core.checks import choose
from policygrad_metrics.decision.frank_wolfe import frank_wolfe
from policygrad_metrics.decision.rules import ExpectedF, Rule, plain_rule
from policygrad_metrics.decision.scorer import Scorer, adds_up_counts
from policygrad_metrics.decision.standard_error import GROUPS, error_of_gain, grouped
from policygrad_metrics.decision.sweeps import (
    TIE,
    best_cut_points,
    best_offsets,
    best_thresholds,
)
from policygrad_metrics.rewards import Reward, get_reward

#: Of fewer rows than this a tuned decision must gain on rows that did not choose it as well.
FEW_ROWS = 200
#: Parts of the rows that are left out in turn to see that.
FOLDS = 5

METHODS = ("auto", "threshold", "offsets", "cut_points", "frank_wolfe", "expected_f")


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

    Attributes:
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

    def __init__(
        self,
        reward: str | Reward | Callable[..., float] = "f1",
        method: str = "auto",
        *,
        multilabel: bool = False,
        ordinal: bool = False,
        plain: str = "arg_max",
        one_standard_error: bool | None = None,
        series: bool = False,
        max_calls: int = 100,
    ):
        self.reward = reward
        self.method = method
        self.multilabel = multilabel
        self.ordinal = ordinal
        self.plain = plain
        self.one_standard_error = one_standard_error
        self.series = series
        self.max_calls = max_calls

    def fit(self, probabilities: Any, y_true: Any, sample_weight: Any = None) -> Self:
        """Tune the decision.

        Args:
            probabilities: of data that the model was not trained on: `[N]` or `[N, 1]` (of
                class 1) or `[N, K]`; with `multilabel=True` `[N, L]`.
            y_true: labels 0 ... K-1, `[N]`; with `multilabel=True` 0 or 1, `[N, L]`.
            sample_weight: `[N]`, not negative.

        Returns:
            The tuner itself.

        Raises:
            ValueError: the method is unknown or does not fit the data, a probability is outside
                [0, 1], a label outside the classes, or shapes do not belong together.
        """
        choose("method", self.method, METHODS)
        if isinstance(self.max_calls, bool) or not self.max_calls >= 2:
            raise ValueError(f"max_calls must be 2 or more; it is {self.max_calls!r}.")
        reward = get_reward(self.reward)
        if self.multilabel:
            reward = reward.for_multilabel()
        p = self._probabilities(probabilities)
        truth, weight = self._truth(y_true, p), self._weight(sample_weight, len(p))
        self._check_method(reward, p.shape[-1])
        if weight is not None:
            kept = weight[:, 0] > 0.0
            if not kept.any():
                raise ValueError("sample_weight must not be zero throughout.")
            p, truth, weight = p[kept], truth[kept], np.repeat(weight[kept], p.shape[1], axis=1)
        scorer = Scorer(reward, truth, weight, p.shape[-1], self.max_calls)
        plain = plain_rule(self.plain, p.shape[-1])
        before = plain.decide(p)
        self.plain_score_ = scorer.score(before)
        self.n_columns_, self.n_classes_ = p.shape[1:]
        self.method_, self.rule_ = self._tune(reward, p, scorer)
        after = self.rule_.decide(p)
        self.score_ = scorer.score(after)
        careful = self.one_standard_error
        if careful is None:
            careful = self.method == "auto"
        if careful and not self._is_sure(reward, p, scorer, before, after):
            self.rule_, self.score_ = plain, self.plain_score_
        return self

    def predict(self, probabilities: Any) -> np.ndarray:
        """Return labels, int64 `[N]` (with `multilabel=True` `[N, L]`).

        Args:
            probabilities: as for `fit`.

        Raises:
            ValueError: they have another number of classes or columns than at `fit`.
        """
        check_is_fitted(self, "rule_")
        p = self._probabilities(probabilities)
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
        p = self._probabilities(probabilities)
        reward = get_reward(self.reward)
        if self.multilabel:
            reward = reward.for_multilabel()
        weight = self._weight(sample_weight, len(p))
        if weight is not None:
            weight = np.repeat(weight, p.shape[1], axis=1)
        scorer = Scorer(reward, self._truth(y_true, p), weight, self.n_classes_)
        return scorer.score(labels.reshape(p.shape[:2]))

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

    def _is_sure(
        self, reward: Reward, p: np.ndarray, scorer: Scorer, before: np.ndarray, after: np.ndarray
    ) -> bool:
        """Whether the tuned decision gains more than luck would explain."""
        N = len(p)
        gain = self.score_ - self.plain_score_
        if N < GROUPS or gain <= error_of_gain(scorer, before, after, series=self.series):
            return False
        if N >= FEW_ROWS:
            return True
        # The best of many decisions on few rows: does it gain on rows that did not choose it?
        labels, fold = before.copy(), grouped(N, FOLDS, series=self.series)
        for left_out in (fold == number for number in range(FOLDS)):
            _, rule = self._tune(reward, p[~left_out], scorer.of_rows(~left_out))
            labels[left_out] = rule.decide(p[left_out])
        return scorer.score(labels) > self.plain_score_ + TIE

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

    def _probabilities(self, probabilities: Any) -> np.ndarray:
        """`[N, C, K]`, float64."""
        p = np.asarray(probabilities, np.float64)
        if p.ndim not in (1, 2) or not len(p) or (p.ndim == 1 and self.multilabel):
            shape = "[N, L]" if self.multilabel else "[N] or [N, K]"
            raise ValueError(f"probabilities must have shape {shape}; they have {p.shape}.")
        if not ((p >= 0.0) & (p <= 1.0 + 1e-6)).all():
            raise ValueError(
                "probabilities must lie in [0, 1]; some do not, or are NaN. Give the outputs "
                "behind the sigmoid or softmax, not the logits."
            )
        if self.multilabel:
            return np.stack([1.0 - p, p], axis=-1)
        p = p.reshape(len(p), -1)
        return (np.hstack([1.0 - p, p]) if p.shape[1] == 1 else p)[:, None, :]

    def _truth(self, y_true: Any, p: np.ndarray) -> np.ndarray:
        y = np.asarray(y_true)
        expected = p.shape[:2] if self.multilabel else p.shape[:1]
        if y.shape != expected and y.shape != p.shape[:2]:
            way_out = (
                "" if self.multilabel or y.ndim < 2 else " For label columns: multilabel=True."
            )
            raise ValueError(f"y_true must have shape {expected}; it has {y.shape}.{way_out}")
        if y.dtype.kind not in "iufb" or not np.isin(y, np.arange(p.shape[2])).all():
            raise ValueError(
                f"y_true must hold labels 0 to {p.shape[2] - 1}, as many classes as there are "
                f"probabilities; it holds {np.unique(y)[:8].tolist()}. Number the classes in the "
                "order of the columns of the probabilities."
            )
        return y.astype(np.int64).reshape(p.shape[:2])

    def _weight(self, sample_weight: Any, size: int) -> np.ndarray | None:
        if sample_weight is None:
            return None
        weight = np.asarray(sample_weight, np.float64)
        if weight.shape != (size,) or not (np.isfinite(weight) & (weight >= 0.0)).all():
            raise ValueError(
                f"sample_weight must be {size} finite numbers, 0 or more; it has shape "
                f"{weight.shape}."
            )
        return weight[:, None]


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
