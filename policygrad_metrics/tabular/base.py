"""What the estimators that train a network share: its arguments, fitting, going on."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from policygrad_metrics.core.checks import check_number, check_truth, check_whole
from policygrad_metrics.losses.running_counts import window_of
from policygrad_metrics.policies import Mixture, Policy
from policygrad_metrics.rewards import get_reward
from policygrad_metrics.tabular.arguments import check_hidden
from policygrad_metrics.tabular.ensemble import Ensemble
from policygrad_metrics.tabular.networks import OwnNetwork
from policygrad_metrics.tabular.program import Recipe
from policygrad_metrics.tabular.reward_estimator import RewardEstimator
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.tabular.scoring import reward_for
from policygrad_metrics.tabular.targets import output_columns
from policygrad_metrics.training.network import Network as DenseNetwork
from policygrad_metrics.training.optimizer import Rule, Schedule, read_optimizer


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class TabularEstimator(RewardEstimator):
    """A network for rows of numbers, trained on the reward of its labels.

    Members give `_learn_target`, `_policy_for`, `_balanced_by` and `_tuned`.
    """

    running_counts: bool | float | None = None
    hidden: tuple[int, ...] | Callable[[int, int], keras.Model] = (64, 64)
    epochs: int = 200
    batch_size: int | None = 256
    optimizer: str | keras.optimizers.Optimizer = "adam"
    learning_rate: float | Schedule | None = None
    warm_start: bool = False
    members: int = 1

    def _train_once(self, X, y, sample_weight, learn_target):
        """`partial_fit`: train on these rows once, going on from where training is."""
        self._check_arguments()
        if self.class_weight == "balanced" or self._tunes():
            raise ValueError(
                'partial_fit sees a part of the rows and can neither use class_weight="balanced" '
                "nor tune_decision=True or subject_to=. Give class weights as a dict, and tune "
                "afterwards (DecisionTuner)."
            )
        first = not self.__sklearn_is_fitted__()
        X, y, weight = self._validated(X, y, sample_weight, reset=first)
        target = learn_target(y, first)
        rows = self._rows(target, X, y, weight)
        if first:
            self._start(target, rows)
            self.history_, self.n_iter_ = {"loss": []}, 0
        self._check_members()
        self._learner.set_optimizer(self._optimizer()[1], anew=False)
        history = self._learner.train(rows, None, 1, self.batch_size, None, self.verbose)
        self.history_["loss"] += history["loss"]
        self.n_iter_ += 1
        return self

    @property
    def network_(self) -> keras.Model:
        """The fitted network as a Keras model of its own, from features to the policy's outputs.

        Of several members it holds all, their outputs side by side, as `policy_` reads them.
        """
        check_is_fitted(self)
        return self._learner.keras_network()

    @abc.abstractmethod
    def _policy_for(self, target: Any, rows: Rows) -> Policy:
        """The policy, with whatever it takes from the training rows."""

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_hidden(self.hidden)
        check_whole("epochs", self.epochs, 1)
        check_whole("batch_size", self.batch_size, 1, or_none=True)
        check_truth("warm_start", self.warm_start)
        check_whole("members", self.members, 1)
        self._optimizer()
        check_number("log_likelihood", self._likelihood(), zero=True)
        window_of(self.running_counts)

    def _goes_on(self) -> bool:
        again = self.warm_start and self.__sklearn_is_fitted__()
        if again:
            self._check_members()
        return again

    def _check_members(self) -> None:
        """Raise if fitting goes on with another number of networks."""
        known = len(self._learner.networks)
        if self.members != known:
            raise ValueError(
                f"members must stay {known} when fitting goes on; it is {self.members}. Fit a "
                "clone."
            )

    def _merges(self, count: int) -> bool:
        if self.batch_size is not None and count > self.batch_size:
            return False
        # At the places of a ranking two equal rows are two items; "auto" is no ranking.
        reward = None if self.reward == "auto" else get_reward(self.reward)
        return getattr(reward, "weight_repeats", True)

    def _train(self, rows: Rows, held_out: Rows | None, patience: int | None) -> None:
        self._learner.set_optimizer(self._optimizer()[1], anew=True)
        self.history_ = self._learner.train(
            rows, held_out, self.epochs, self.batch_size, patience, self.verbose
        )
        self.n_iter_ = len(self.history_["loss"])

    def _constraints(self, target: Any) -> Any:
        """What the expected reward is subject to: nothing."""
        del target

    def _likelihood(self) -> float:
        """The weight of the values' likelihood in the loss: labels have none."""
        return 0.0

    def _optimizer(self) -> tuple[Rule, float | None]:
        return read_optimizer(self.optimizer, self.learning_rate)

    def _start(self, target, rows):
        policy = self._policy_for(target, rows)
        reward = reward_for(self.reward, target)
        hidden = check_hidden(self.hidden)
        made_by: Any = OwnNetwork if callable(hidden) else DenseNetwork
        rule, learning_rate = self._optimizer()
        recipe = Recipe(
            network=made_by(hidden),
            optimizer=rule,
            features=rows.x.shape[1],
            outputs=output_columns(policy, target),
            num_classes=target.num_classes,
            label_columns=target.label_columns,
            policy=policy,
            reward=reward,
            gradient_estimator=self.gradient_estimator,
            cross_entropy=self.cross_entropy,
            log_likelihood=self._likelihood(),
            running_counts=self.running_counts,
            subject_to=self._constraints(target),
        )
        draw = check_random_state(self.random_state)
        # As as many fits in a row with this generator would draw them.
        seeds = [draw.randint(2**31 - 1) for _ in range(self.members)]
        together = policy if self.members == 1 else Mixture(policy, self.members)
        self._begin(Ensemble(recipe, seeds, learning_rate), target, reward, together)
