"""A classifier trained on its metric, as scikit-learn has classifiers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from policygrad_metrics.data.order import ordered_categories
from policygrad_metrics.policies import CumulativeLink, Policy, get_policy
from policygrad_metrics.tabular.base import TabularEstimator
from policygrad_metrics.tabular.reward_classifier import RewardClassifier
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.tabular.targets import Target, choose_policy


@dataclasses.dataclass(eq=False, repr=False)
class PolicyGradientClassifier(RewardClassifier, TabularEstimator):
    """A network for tables, trained on the expected reward of its labels.

        loss = 1 - E[R(y, a)] + cross_entropy * CE,   labels a drawn from the network's policy

    as `PolicyGradientLoss` has it. Like scikit-learn's `MLPClassifier` it does not scale
    the features: put a `StandardScaler` before it.

    Args:
        reward: "auto" ("f1" for two classes, else "f1_macro"), a name such as "accuracy" or
            "cohen_kappa_quadratic", a `Reward`, or a function `f(y_true, y_pred) -> float`, which
            is given the labels as they are in `y`.
        policy: "auto" (sigmoid for two classes and label columns, else softmax), "softmax",
            "sigmoid", "cumulative_link" (ordered classes), or a `Policy`.
        gradient_estimator: "auto", "exact", "local_expectation", "reinforce", or an `Estimator`.
        cross_entropy: weight of the cross-entropy that is mixed in.
        running_counts: as for `PolicyGradientLoss`: True scores a batch beside running counts of
            earlier ones.
        hidden: sizes of ReLU layers, or a function `(n_features, n_outputs) -> keras.Model`
            without an activation at its end.
        epochs: at most so many passes over the rows.
        batch_size: rows of a step; None for all rows in every step. The reward is scored on the
            rows of a step: with a handful and very uneven classes or weights use `running_counts`.
        optimizer: a name such as "adam" or "adamw", or a Keras optimizer, of which the
            configuration counts and not the state.
        learning_rate: a number or a Keras schedule; None for the optimizer's own, .001 for Adam.
        early_stopping: hold out some rows, return to the epoch of the highest reward on them (of
            several, the last), and stop when neither that reward has risen nor the cross-entropy
            on them fallen to a new best for `patience` epochs. Where fewer than 50 rows would be
            held out, none are: all are trained on, for all epochs. False, as for `MLPClassifier`:
            the reward of few held-out rows of a rare class moves by luck, and the best of many such
            epochs is a lucky one.
        validation_fraction: share of the rows that is held out, at most .5; each class in its
            share.
        patience: in epochs.
        tune_decision: choose the decision rule (a threshold, or class offsets) by the reward on
            held-out rows (where those would be fewer than 50, on all rows), if it gains more than
            one standard error there (see `DecisionTuner`). Probabilities stay as they are.
        pos_label: the positive one of two classes, for rewards such as "f1"; None for the second.
        classes: all classes in their order, lowest first, among them those that `y` lacks. None
            for those of `y`, sorted. A reward that depends on the order (weighted kappa, within_1,
            mean_level_error, a cost matrix) and "cumulative_link" take it from an ordered pandas
            categorical `y`, or, with a warning, if it is well known (low, medium, high; numbers;
            the levels of an air-quality scale), and else refuse texts without `classes`.
        subject_to: constraints, such as `at_least("precision", 0.9)` or "recall[sick]>=0.8", or
            several: training keeps their expected rates, and the decision rule is tuned under them
            as with `tune_decision`, with a margin of one standard error. Those on groups need
            `fit(X, y, groups=)`. Not with `early_stopping`.
        class_weight: None, "balanced", or weights by class (multi-label: a list of such), as
            elsewhere in scikit-learn; multiplied with `sample_weight`.
        warm_start: whether `fit` goes on from the network of the last `fit`.
        members: how many networks to train, each with first weights and an order of the rows of its
            own: those that as many fits in a row with one `RandomState` would have. Probabilities
            are the mean of theirs, and decisions follow from that mean. The rows that are held out
            are the same for all; with `early_stopping` each returns to its own best epoch.
        random_state: None, an int or a `RandomState`. The same int gives the same bits.
        verbose: 1 prints a line each epoch.

    Sample weights enter the reward's counts. Where one batch holds all rows, rows of the same
    features and target are merged, so that a row of weight 2 and a row that is there twice are
    exactly the same, and the order of rows does not matter. With several batches an epoch that
    holds only on average.

    Attributes:
        classes_: `[K]`, sorted, or in the order of `classes`; column numbers if multi-label. If
            they are not sorted, scikit-learn's `log_loss` and `roc_auc_score`, which take columns
            to be so, need `probabilities[:, np.argsort(classes_)]`.
        n_features_in_, feature_names_in_: of `X`.
        n_iter_: epochs trained.
        history_: "loss", and with held-out rows "val_<reward>" and "val_cross_entropy", per epoch;
            of several members the mean over those that trained in it.
        reward_: the reward, with "auto" resolved.
        policy_: the policy, with "auto" resolved; of several members a `policies.Mixture` of it.
        network_: the network as a Keras model (a copy), of several members with their outputs side
            by side: what `policy_` reads, and `pgm.export_decision` takes.
        tuner_: the fitted `DecisionTuner`, or None.

    Raises:
        ValueError: (in `fit`) an argument is not allowed, `y` holds one class only, or training
            diverges.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = PolicyGradientClassifier("accuracy", epochs=100, random_state=0).fit(X, y)
    >>> model.reward_score(X, y) > 0.9
    True
    """

    _: dataclasses.KW_ONLY
    policy: str | Policy = "auto"

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> PolicyGradientClassifier:
        """Train on these rows once, going on from where training is.

        Args:
            X: as for `fit`.
            y: as for `fit`.
            sample_weight: as for `fit`.
            classes: all classes that will ever come, in any order; needed at the first call unless
                y is multi-label or the classifier has its `classes`.
        """
        given = classes if ordered_categories(classes) else y

        def learn_target(y, first):
            if first:
                seen = self._first_classes(y, classes)
                return Target.of(y, self._in_order(y, given, seen), self.pos_label)
            if classes is not None and not np.array_equal(
                np.unique(classes), np.sort(self.classes_)
            ):
                raise ValueError(
                    f"classes={np.unique(classes).tolist()} is not the same as on last call to "
                    f"partial_fit, was: {self.classes_.tolist()}."
                )
            return self._learn_target(y, self._target, given)

        return self._train_once(X, y, sample_weight, learn_target)

    def _other_use_of_order(self) -> str | None:
        if self.policy != "auto" and isinstance(get_policy(self.policy), CumulativeLink):
            return "policy 'cumulative_link'"
        return None

    def _policy_for(self, target: Target, rows: Rows) -> Policy:
        return choose_policy(self.policy, target)

    def _first_classes(self, y, classes):
        if classes is None and self.classes is None and np.ndim(y) == 1:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return self.classes if classes is None else classes
