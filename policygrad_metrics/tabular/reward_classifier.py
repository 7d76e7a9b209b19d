"""The classes of a target: what all classifiers of this package predict, and how they score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from policygrad_metrics.decision import DecisionTuner
from policygrad_metrics.decision.floors import read_floors
from policygrad_metrics.policies import CumulativeLink, member_policy
from policygrad_metrics.rewards import Constraint, Reward, get_reward
from policygrad_metrics.rewards.constraints import Constraints
from policygrad_metrics.tabular.reward_estimator import RewardEstimator, probabilities
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.tabular.scoring import (
    positive_scores,
    reward_for,
    reward_of_labels,
    serves,
)
from policygrad_metrics.tabular.targets import Target, classes_in_order


@dataclasses.dataclass(eq=False, repr=False)
class RewardClassifier(ClassifierMixin, RewardEstimator):
    """A classifier trained on the reward of its labels; members say what learns."""

    _target_options: ClassVar[dict[str, Any]] = {"multi_output": True}

    reward: str | Reward | Callable[..., float] = "auto"
    _: dataclasses.KW_ONLY
    pos_label: Any = None
    classes: Any = None
    subject_to: Any = None

    def predict(self, X: Any) -> np.ndarray:
        """Labels `[N]`, or 0/1 indicators `[N, L]`."""
        logits = self._logits(X)
        if self.tuner_ is None:
            return self._target.decode(logits.argmax(axis=-1))
        return self._target.decode(self.tuner_.predict(probabilities(logits)))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities `[N, K]` in the order of `classes_`, or `[N, L]` of each label."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities."""
        logits = self._logits(X)
        return self._target.log_probabilities(logits)

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds of `classes_[1]` `[N]`, of each label `[N, L]`, or logits `[N, K]`."""
        logits = self._logits(X)
        return self._target.log_odds(logits)

    def reward_score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The reward of the predictions, of a ranking that of `decision_function`.

        `score` is accuracy, as for all classifiers.
        """
        check_is_fitted(self)
        ranks = self.reward_.ranks
        labels = positive_scores(self, X, self._target.flipped) if ranks else self.predict(X)
        return reward_of_labels(self.reward_, self._target, y, labels, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = serves(self.reward, num_classes=3)
        tags.classifier_tags.multi_label = serves(self.reward, label_columns=2)
        return tags

    @property
    def classes_(self) -> np.ndarray:
        """The classes in the order of the columns; column numbers if multi-label."""
        check_is_fitted(self)
        return self._target.classes

    def _check_arguments(self) -> None:
        super()._check_arguments()
        if self.reward != "auto" and self._tunes() and get_reward(self.reward).ranks:
            raise ValueError(
                f"tune_decision= and subject_to= choose a decision, and reward={self.reward!r} "
                "scores a ranking. Leave them out, and tune a DecisionTuner on a reward of labels."
            )

    def _learn_target(self, y: Any, known: Target | None, given: Any) -> Target:
        if known is None:
            return Target.of(y, self._in_order(y, given), self.pos_label)
        if self.classes is not None and [*self.classes] != known.classes.tolist():
            raise ValueError(
                f"classes must stay {known.classes.tolist()} when fitting goes on; they are "
                f"{[*self.classes]}. Fit a clone."
            )
        Target.of(y, known.classes, self.pos_label)
        return known

    def _in_order(self, y: Any, given: Any, seen: Any = None) -> np.ndarray | None:
        if self.reward != "auto" and (reward := get_reward(self.reward)).uses_order:
            user = f"reward {reward.name!r}"
        else:
            user = self._other_use_of_order()
        return classes_in_order(y, self.classes, user, given=given, seen=seen)

    def _other_use_of_order(self) -> str | None:
        """What besides the reward needs the order of the classes, in words."""
        return None

    def _tunes(self) -> bool:
        return self.tune_decision or self.subject_to is not None

    def _constraints(self, target: Target) -> tuple[Constraint, ...] | None:
        """`subject_to` with classes as numbers.

        Raises:
            ValueError: a constraint is on groups or on a class that is none, the reward is no
                function of confusion counts, epochs are to be chosen, or classes are weighted.
        """
        if self.subject_to is None:
            return None

        def number(label):
            known = [str(name) for name in target.classes.tolist()]
            if target.multilabel or str(label) not in known:
                raise ValueError(
                    f"pos_label={label!r} of a constraint is none of the classes {known}."
                )
            return int(target.encode(target.classes[[known.index(str(label))]])[0])

        constraints = Constraints.of(self.subject_to, number)
        if constraints.groups > 1:
            raise ValueError(
                "subject_to= of a classifier cannot be on groups: give PolicyGradientLoss and "
                "DecisionTuner the constraint, which take the group of each example."
            )
        # What the tuner will ask for after training is asked for before it.
        reward = reward_for(self.reward, target)
        read_floors(reward, constraints.items, None, target.multilabel)
        if self.class_weight is not None:
            raise ValueError(
                "class_weight= changes the rates that subject_to= bounds. Leave it None: the "
                "constraint moves the decision by itself."
            )
        if self.early_stopping:
            raise ValueError(
                "early_stopping=True chooses the epoch of the best default decision, which may "
                "break a constraint. With subject_to= leave it False."
            )
        return constraints.items

    def _balanced_by(self, target: Target, y: Any) -> Any:
        return y

    def _tuned(self, rows: Rows) -> DecisionTuner:
        tuner = DecisionTuner(
            self.reward_,
            multilabel=self._target.multilabel,
            ordinal=isinstance(member_policy(self.policy_), CumulativeLink),
            one_standard_error=True,
            subject_to=self._constraints(self._target),
            margin=None if self.subject_to is None else "standard_error",
        )
        logits = np.asarray(self.policy_.logits(self._learner.outputs(rows.x)))
        return tuner.fit(probabilities(logits), rows.y.astype(np.int64), rows.weight)
