"""The classes of a target: what all classifiers of this package predict, and how they score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from policygrad_metrics.decision import DecisionTuner
from policygrad_metrics.decision.floors import read_floors
from policygrad_metrics.decision.reading import number_groups
from policygrad_metrics.policies import CumulativeLink, member_policy
from policygrad_metrics.rewards import Constraint, Reward, get_reward
from policygrad_metrics.rewards.inequalities import Constraints, number_of
from policygrad_metrics.tabular.reward_estimator import RewardEstimator, probabilities
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.tabular.scoring import (
    positive_scores,
    reward_for,
    reward_of_labels,
    serves,
    user_of_order,
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

    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, costs: Any = None, groups: Any = None
    ) -> Self:
        """Train on rows X and targets y.

        Args:
            X: numbers `[N, F]`: an array, a data frame or a sparse matrix.
            y: targets `[N]`, or 0/1 indicators `[N, L]` where those can be predicted.
            sample_weight: `[N]`, not negative, or None.
            costs: `[N, K]`, what each label costs each example, for the reward `ExampleCosts`; the
                columns are in the order of `classes_`.
            groups: `[N]`, the group of each example, for constraints on groups. They are numbered
                in the order of their sorted values.

        With metadata routing, `set_fit_request(costs=True, groups=True)` asks for them.
        """
        return self._fit(X, y, sample_weight, costs=costs, groups=groups)

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

    def reward_score(
        self, X: Any, y: Any, sample_weight: Any = None, *, costs: Any = None
    ) -> float:
        """The reward of the predictions, of a ranking that of `decision_function`.

        `score` is accuracy, as for all classifiers.
        """
        check_is_fitted(self)
        ranks = self.reward_.ranks
        labels = positive_scores(self, X, self._target.flipped) if ranks else self.predict(X)
        costs = None if costs is None else in_order(costs, self._target)
        return reward_of_labels(self.reward_, self._target, y, labels, sample_weight, costs)

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
        user = user_of_order(self.reward) or self._other_use_of_order()
        return classes_in_order(y, self.classes, user, given=given, seen=seen)

    def _other_use_of_order(self) -> str | None:
        """What besides the reward needs the order of the classes, in words."""
        return None

    def _tunes(self) -> bool:
        return self.tune_decision or self.subject_to is not None

    def _constraints(self, target: Target) -> tuple[Constraint, ...] | None:
        """`subject_to` with classes as numbers.

        Raises:
            ValueError: a constraint is on a class that is none, the reward is no
                function of confusion counts, epochs are to be chosen, or classes are weighted.
        """
        if self.subject_to is None:
            return None

        names = [str(name) for name in target.classes.tolist()]
        names = names[::-1] if target.flipped else names
        # What the tuner will ask for after training is asked for before it.
        reward = reward_for(self.reward, target)
        number = number_of([] if target.multilabel else names)
        constraints = Constraints.of(self.subject_to, number, reward.abstains)
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

    def _rows(self, target, X, y, weight, costs=None, groups=None):
        priced = getattr(self.reward, "reads_costs", False)
        if priced != (costs is not None):
            raise ValueError(
                "costs= of fit and the reward pgm.rewards.ExampleCosts() belong together: give "
                "both or neither."
            )
        if getattr(self.reward, "abstains", False) and target.classes[-1] in y:
            listed = ", ".join(map(repr, target.classes.tolist()))
            raise ValueError(
                f"the last class, {target.classes[-1].item()!r}, means no answer to the reward "
                "Abstaining and must not occur in y. Give all classes, and last the label that "
                f"predict should return for it: classes=[{listed}, -1]."
            )
        constraints = self._constraints(target) or ()
        G = max([1, *(one.groups or 1 for one in constraints)])
        if groups is not None and G == 1:
            raise ValueError(
                "groups= of fit is for constraints on groups; subject_to= holds none, such as "
                'pgm.at_most("recall_gap", 0.05, groups=2).'
            )
        group = number_groups(groups, X.shape[0], G).astype(np.float32) if G > 1 else None
        costs = None if costs is None else in_order(costs, target)
        return super()._rows(target, X, y, weight, costs=costs, group=group)

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
        truth = rows.y.astype(np.int64) if rows.costs is None else rows.priced
        return tuner.fit(probabilities(logits), truth, rows.weight, rows.group)


def in_order(costs: Any, target: Target) -> np.ndarray:
    """Costs `[N, K]` of the classes as those of the label numbers, float32.

    Raises:
        ValueError: there is not a column for each class, or a cost is not finite.
    """
    costs = np.asarray(costs, np.float32)
    if target.multilabel or costs.shape[1:] != (target.num_classes,):
        raise ValueError(
            f"costs must have a column for each of the {target.num_classes} classes of one label, "
            f"in the order of classes_; it has shape {costs.shape}."
        )
    if not np.isfinite(costs).all():
        raise ValueError("costs must be finite; some are NaN or infinite.")
    return costs[:, ::-1] if target.flipped else costs
