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
        y_pred: predicted ones.
        sample_weight: `[N]`, or None.
        costs: `[N, K]` of the label numbers, or None.
    """
    truth, labels = beside(target.encode(y_true), costs), target.encode(y_pred)
    if isinstance(reward, PositiveRatio) and reward.labels is None:
        reward = dataclasses.replace(reward, absent="skip")
    return float(reward(truth, labels, sample_weight, num_classes=target.num_classes))


def reward_for(reward: str | Reward | Callable[..., float], target: Any) -> Reward:
    """The reward for a target: "auto" resolved, label columns told, functions given own labels.

    Raises:
        ValueError: the name is not known.
        TypeError: it is no name, reward or function.
    """
    if isinstance(reward, str) and reward == "auto":
        reward = "f1_macro" if target.multilabel or target.num_classes > 2 else "f1"
    found = get_reward(reward)
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


@dataclasses.dataclass(frozen=True)
class RewardScorer:
    """`scorer(estimator, X, y, sample_weight=None) -> float`; made by `reward_scorer`."""

    reward: Any
    pos_label: Any = None
    classes: Any = None

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        y_pred = estimator.predict(X)
        target = Target.of(y, self._in_order(estimator, y), self.pos_label)
        reward = reward_for(self.reward, target)
        return reward_of_labels(reward, target, y, y_pred, sample_weight)

    def _in_order(self, estimator, y):
        user, classes = None, self.classes
        seen = np.asarray(estimator.classes_) if np.ndim(y) == 1 else None
        if self.reward != "auto" and (reward := get_reward(self.reward)).uses_order:
            user = f"reward {reward.name!r}"
            if classes is None and seen is not None and (np.sort(seen) != seen).any():
                classes = seen  # they are not sorted: the estimator knows their order
        return classes_in_order(y, classes, user, given=y, seen=seen)


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
