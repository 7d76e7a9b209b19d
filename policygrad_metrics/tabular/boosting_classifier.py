"""Boosted trees trained on their metric, as scikit-learn has classifiers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state

from policygrad_metrics.core.checks import check_number, check_whole
from policygrad_metrics.tabular.boosting import lightgbm_metric, lightgbm_objective
from policygrad_metrics.tabular.reward_classifier import RewardClassifier
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.tabular.scoring import reward_for
from policygrad_metrics.tabular.targets import Target, choose_policy
from policygrad_metrics.tabular.trees import Trees, TreeSettings, import_lightgbm


@dataclasses.dataclass(eq=False, repr=False)
class PolicyGradientBoostingClassifier(RewardClassifier):
    """Boosted trees for tables, trained on the expected reward of their labels.

        loss = W (1 - E[R(y, a)]) + cross_entropy * CE,   labels a drawn from the trees' policy

    on all rows at once (W is the sum of their weights), as `boosting.lightgbm_objective` has it.
    It needs LightGBM: `pip install policygrad-metrics[boosting]`. Features need no scaling, and
    NaN is a missing value.

    Args:
        reward: as for `PolicyGradientClassifier`.
        n_estimators: most rounds, each of which grows a tree for each class or label column, one
            for two classes.
        num_leaves: most leaves of a tree.
        learning_rate: what a tree's values are multiplied with, at most 1.
        min_child_samples: least rows of a leaf.
        reg_lambda: L2 penalty of the leaves' values.
        parameters: others of LightGBM by name, such as {"feature_fraction": 0.8}.
        n_jobs: threads; None for LightGBM's choice. The trees are the same.
        gradient_estimator, cross_entropy, pos_label, classes, class_weight: as for \
`PolicyGradientClassifier`.
        early_stopping, validation_fraction, patience: as for `PolicyGradientClassifier`, of rounds
            instead of epochs.
        tune_decision: as for `PolicyGradientClassifier`.
        subject_to: as for `PolicyGradientClassifier`; multipliers move once a tree, by the rates
            of all training rows. Those on groups are kept by the decision rule alone.
        random_state: of the held-out rows and of what LightGBM draws. The same int gives the same
            bits.
        verbose: 1 prints a line each round.

    A row of weight 2 enters the loss as often as two rows do, but `min_child_samples` counts rows.

    Attributes:
        classes_, n_features_in_, feature_names_in_, reward_, policy_, tuner_: as for
            `PolicyGradientClassifier`.
        n_iter_: rounds that are kept.
        history_: with held-out rows "val_<reward>" and "val_cross_entropy", per round.

    Raises:
        ValueError: (in `fit`) an argument is not allowed or `y` holds one class only.
        ImportError: (in `fit`) LightGBM is not installed.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = PolicyGradientBoostingClassifier("accuracy", n_estimators=20).fit(X, y)
    >>> model.reward_score(X, y) > 0.9
    True
    """

    _row_options: ClassVar[dict[str, Any]] = {
        "accept_sparse": "csr",
        "dtype": np.float32,
        "ensure_all_finite": "allow-nan",
    }

    _: dataclasses.KW_ONLY
    n_estimators: int = 100
    num_leaves: int = 15
    learning_rate: float = 0.1
    min_child_samples: int = 20
    reg_lambda: float = 0.0
    parameters: Mapping[str, Any] | None = None
    n_jobs: int | None = None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _check_arguments(self) -> None:
        super()._check_arguments()
        check_whole("n_estimators", self.n_estimators, 1)
        check_whole("num_leaves", self.num_leaves, 2)
        check_number("learning_rate", self.learning_rate, most=1.0)
        check_whole("min_child_samples", self.min_child_samples, 1)
        check_number("reg_lambda", self.reg_lambda, zero=True)
        check_whole("n_jobs", self.n_jobs, 1, or_none=True)
        import_lightgbm()

    def _start(self, target: Target, rows: Rows) -> None:
        policy, reward = choose_policy("auto", target), reward_for(self.reward, target)
        # Raises before any work.
        floors = [one for one in self._constraints(target) or () if one.groups is None]
        names = [field.name for field in dataclasses.fields(TreeSettings) if field.name != "seed"]
        given = {name: getattr(self, name) for name in names}
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        objective = lightgbm_objective(
            reward,
            cross_entropy=self.cross_entropy,
            gradient_estimator=self.gradient_estimator,
            seed=seed,
            subject_to=floors or None,
        )
        settings = TreeSettings(**given, seed=seed)
        trees = Trees(settings, objective, lightgbm_metric(reward), target.num_classes)
        self._begin(trees, target, reward, policy)

    def _train(self, rows: Rows, held_out: Rows | None, patience: int | None) -> None:
        self.history_ = self._learner.train(rows, held_out, patience, self.verbose)
        self.n_iter_ = self._learner.rounds
