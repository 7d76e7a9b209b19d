"""A reward as a scikit-learn scorer, for any classifier."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from policygrad_metrics.rewards import (
    BlackBox,
    ClassCountReward,
    CountReward,
    RatioReward,
    Reward,
    get_reward,
)
from policygrad_metrics.rewards.ratios import PositiveRatio
from policygrad_metrics.tabular.rows import beside
from policygrad_metrics.tabular.targets import OwnLabels, Target, classes_in_order


def reward_of_labels(
    reward: Reward,
    target: Target,
    y_true: Any,
    y_pred: Any,
    sample_weight: Any = None,
    costs: np.ndarray | None = None,
) -> float:
    """The reward of predicted targets against true ones, as scikit-learn has it.

    A macro average leaves out classes that occur in neither, unless the reward names its labels.

    Args:
        reward: as `reward_for` returned it.
        target: the kind and the classes of the targets.
        y_true: true targets, `[N]` or `[N, L]`.
        y_pred: predicted ones; for a ranking scores of the positive class instead.
        sample_weight: `[N]`, or None.
        costs: `[N, K]` of the label numbers, or None.
    """
    if reward.ranks:
        return float(reward(target.encode(y_true), y_pred, sample_weight))
    truth, labels = beside(target.encode(y_true), costs), target.encode(y_pred)
    if isinstance(reward, PositiveRatio) and reward.labels is None:
        reward = dataclasses.replace(reward, absent="skip")
    return float(reward(truth, labels, sample_weight, num_classes=target.num_classes))


def reward_for(reward: str | Reward | Callable[..., float], target: Any) -> Reward:
    """The reward for a target: "auto" resolved, label columns told, functions given own labels.

    Raises:
        ValueError: the name is not known, or it is a ranking and there are not two classes.
        TypeError: it is no name, reward or function.
    """
    if isinstance(reward, str) and reward == "auto":
        reward = "f1_macro" if target.multilabel or target.num_classes > 2 else "f1"
    found = get_reward(reward)
    if found.ranks and (target.multilabel or target.num_classes != 2):
        kind = "label columns" if target.multilabel else f"{target.num_classes} classes"
        raise ValueError(
            f"reward {found.name!r} ranks rows by one score, so it needs two classes; y has "
            f"{kind}. Fit one class against the rest, or use a reward of labels."
        )
    if isinstance(found, BlackBox):
        function = OwnLabels(found.function, target)
        found = dataclasses.replace(found, function=function, label=found.name)
    return found.for_multilabel() if target.multilabel else found


def serves(reward: Any, num_classes: int = 2, label_columns: int | None = None) -> bool:
    """Whether a reward has a meaning for so many classes or label columns.

    True where that cannot be known before it is used: for functions of your own, and for what is
    no reward at all (that is `fit`'s to say).

    >>> serves("f1", num_classes=3), serves("f1_macro", num_classes=3)
    (False, True)
    >>> serves("accuracy", label_columns=2), serves("matthews_corrcoef", label_columns=2)
    (True, False)
    """
    multilabel = label_columns is not None
    if getattr(reward, "ranks", False) or (isinstance(reward, str) and _ranks(reward)):
        return num_classes == 2 and not multilabel
    target = Target(np.arange(label_columns if multilabel else num_classes), multilabel)
    try:
        found = reward_for(reward, target)
    except (TypeError, ValueError):
        return True
    if isinstance(found, (BlackBox, RatioReward, CountReward, ClassCountReward)):
        return not multilabel or isinstance(found, BlackBox)
    labels = np.zeros([1, label_columns] if multilabel else [1], np.int32)
    try:
        found(labels, labels, num_classes=target.num_classes)
    except ValueError:
        return False
    return True


def _ranks(name):
    try:
        return get_reward(name).ranks
    except (TypeError, ValueError):
        return False


@dataclasses.dataclass(frozen=True)
class RewardScorer:
    """`scorer(estimator, X, y, sample_weight=None) -> float`; made by `reward_scorer`."""

    reward: Any
    pos_label: Any = None
    classes: Any = None

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        target = Target.of(y, self._in_order(estimator, y), self.pos_label)
        reward = reward_for(self.reward, target)
        if reward.ranks:
            y_pred = positive_scores(estimator, X, target.flipped)
        else:
            y_pred = estimator.predict(X)
        return reward_of_labels(reward, target, y, y_pred, sample_weight)

    def _in_order(self, estimator, y):
        user, classes = user_of_order(self.reward), self.classes
        seen = np.asarray(estimator.classes_) if np.ndim(y) == 1 else None
        if user and classes is None and seen is not None and (np.sort(seen) != seen).any():
            classes = seen  # they are not sorted: the estimator knows their order
        return classes_in_order(y, classes, user, given=y, seen=seen)


def user_of_order(reward: Any) -> str | None:
    """The reward in words, if it depends on the order of the classes."""
    if reward == "auto" or not (found := get_reward(reward)).uses_order:
        return None
    return f"reward {found.name!r}"


def positive_scores(estimator: Any, X: Any, flipped: bool = False) -> np.ndarray:
    """Scores `[N]` of the second of two classes, or of the first: log-odds or probabilities."""
    if hasattr(estimator, "decision_function"):
        scores = np.asarray(estimator.decision_function(X))
    else:
        scores = np.asarray(estimator.predict_proba(X))[:, 1]
    return -scores if flipped else scores


def reward_scorer(
    reward: Any = "auto", pos_label: Any = None, *, classes: Any = None
) -> RewardScorer:
    """A reward as `scoring=` for `GridSearchCV`, `cross_val_score` and the like.

    Works with any classifier and pipeline. As in scikit-learn's own scorers, macro averages leave
    out classes that occur neither in `y` nor in the predictions; a reward with `labels=` counts
    exactly these.

    Args:
        reward: as for `PolicyGradientClassifier`.
        pos_label: the positive one of two classes; None for the second.
        classes: all classes in their order, as for `PolicyGradientClassifier`; None also where the
            estimator's `classes_` are in an order that is not that of the alphabet.

    >>> from sklearn.dummy import DummyClassifier
    >>> model = DummyClassifier(strategy="constant", constant="b").fit([[0], [0]], ["a", "b"])
    >>> round(reward_scorer("f1")(model, [[0], [0]], ["a", "b"]), 4)
    0.6667
    """
    return RewardScorer(reward, pos_label, classes)
