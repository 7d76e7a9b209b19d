"""A classifier trained on its metric, as scikit-learn has classifiers (floor 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from policygrad_metrics.decision import DecisionTuner
from policygrad_metrics.estimators import Estimator, get_estimator
from policygrad_metrics.losses import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.policies import CumulativeLink, Policy
from policygrad_metrics.rewards import Reward
from policygrad_metrics.tabular.arguments import check_hidden, check_number, check_whole
from policygrad_metrics.tabular.fitting import Network, train
from policygrad_metrics.tabular.program import Recipe
from policygrad_metrics.tabular.rows import as_rows, hold_out
from policygrad_metrics.tabular.scoring import reward_for, reward_of_labels, serves
from policygrad_metrics.tabular.targets import Target, choose_policy, output_columns

#: Fewer held-out rows than this say too little of when to stop, and are better trained on.
LEAST_HELD_OUT = 50


class PolicyGradientClassifier(ClassifierMixin, BaseEstimator):
    """A network for tables, trained on the expected reward of its labels.

        loss = 1 - E[R(y, a)] + cross_entropy * CE,   labels a drawn from the network's policy

    as `PolicyGradientLoss` has it, by Adam. Like scikit-learn's `MLPClassifier` it does not scale
    the features: put a `StandardScaler` before it.

    Args:
        reward: "auto" ("f1" for two classes, else "f1_macro"), a name such as "accuracy" or
            "cohen_kappa_quadratic", a `Reward`, or a function `f(y_true, y_pred) -> float`, which
            is given the labels as they are in `y`.
        policy: "auto" (sigmoid for two classes and label columns, else softmax), "softmax",
            "sigmoid", "cumulative_link" (ordered classes), or a `Policy`.
        estimator: "auto", "exact", "local_expectation", "reinforce", or an `Estimator`.
        cross_entropy: weight of the cross-entropy that is mixed in.
        hidden: sizes of ReLU layers, or a function `(n_features, n_outputs) -> keras.Model`
            without an activation at its end.
        epochs: at most so many passes over the rows.
        batch_size: rows of a step; None for all rows in every step.
        learning_rate: Adam's.
        early_stopping: hold out some rows, return to the epoch of the highest reward on them, and
            stop when neither that reward nor the cross-entropy on them has come to a new best
            for `patience` epochs. Where fewer than 50 rows would be held out, none are: all are
            trained on, for all epochs.
        validation_fraction: share of the rows that is held out, at most .5; each class in its
            share.
        patience: in epochs.
        tune_decision: choose the decision rule (a threshold, or class offsets) by the reward on
            the held-out rows (where none are held out, on all rows). Probabilities stay as they
            are.
        pos_label: the positive one of two classes, for rewards such as "f1"; None for the second.
        class_weight: None, "balanced", or weights by class (multi-label: a list of such), as
            elsewhere in scikit-learn; multiplied with `sample_weight`.
        warm_start: whether `fit` goes on from the network of the last `fit`.
        random_state: None, an int or a `RandomState`. The same int gives the same bits.
        verbose: 1 prints a line each epoch.

    Sample weights enter the reward's counts. Where one batch holds all rows, rows of the same
    features and target are merged, so that a row of weight 2 and a row that is there twice are
    exactly the same, and the order of rows does not matter. With several batches an epoch that
    holds only on average.

    Attributes:
        classes_: `[K]`; column numbers if multi-label.
        n_features_in_, feature_names_in_: of `X`.
        n_iter_: epochs trained.
        history_: "loss", and with held-out rows "val_<reward>" and "val_cross_entropy", per epoch.
        reward_: the reward, with "auto" resolved.
        policy_: the policy, with "auto" resolved.
        network_: the network as a Keras model (a copy).
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

    def __init__(
        self,
        reward: str | Reward | Callable[..., float] = "auto",
        *,
        policy: str | Policy = "auto",
        estimator: str | Estimator = "auto",
        cross_entropy: float = DEFAULT_CROSS_ENTROPY,
        hidden: tuple[int, ...] | Callable[[int, int], keras.Model] = (64, 64),
        epochs: int = 200,
        batch_size: int | None = 256,
        learning_rate: float = 1e-3,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        patience: int = 20,
        tune_decision: bool = False,
        pos_label: Any = None,
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.reward = reward
        self.policy = policy
        self.estimator = estimator
        self.cross_entropy = cross_entropy
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tune_decision = tune_decision
        self.pos_label = pos_label
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> PolicyGradientClassifier:
        """Train on rows X and targets y.

        Args:
            X: numbers `[N, F]`: an array, a data frame or a sparse matrix.
            y: labels `[N]`, or 0/1 indicators `[N, L]`.
            sample_weight: `[N]`, not negative, or None.
        """
        self._check_arguments()
        X, y, weight = self._validated(X, y, sample_weight, reset=True)
        again = self.warm_start and self.__sklearn_is_fitted__()
        if weight is not None:  # a class of rows that do not count is not there
            X, y, weight = X[weight > 0.0], y[weight > 0.0], weight[weight > 0.0]
        target = Target.of(y, self.pos_label, self._target.classes if again else None)
        if not again:
            self._start(target, X.shape[1])
        self._network.state = self._network.state.rested()
        rows = self._rows(X, y, weight)
        held_out = None
        if self.early_stopping:
            chosen = hold_out(rows.y, self.validation_fraction, self._network.rng)
            if len(chosen) >= LEAST_HELD_OUT:
                held_out = rows.take(chosen)
                rows = rows.take(np.setdiff1d(np.arange(len(rows)), chosen))
        self.history_ = train(
            self._network,
            rows,
            held_out,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            patience=self.patience,
            verbose=self.verbose,
        )
        self.n_iter_ = len(self.history_["loss"])
        if self.tune_decision:
            self.tuner_ = self._tuned(rows if held_out is None else held_out)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> PolicyGradientClassifier:
        """Train on these rows once, going on from where training is.

        Args:
            X: as for `fit`.
            y: as for `fit`.
            sample_weight: as for `fit`.
            classes: all classes that will ever come; needed at the first call unless y is
                multi-label.
        """
        self._check_arguments()
        if self.class_weight == "balanced" or self.tune_decision:
            raise ValueError(
                'partial_fit sees a part of the rows and can neither use class_weight="balanced" '
                "nor tune_decision=True. Give class weights as a dict, and tune afterwards."
            )
        first = not self.__sklearn_is_fitted__()
        X, y, weight = self._validated(X, y, sample_weight, reset=first)
        target = Target.of(y, self.pos_label, self._first_classes(y, classes, first))
        if first:
            self._start(target, X.shape[1])
            self.history_, self.n_iter_ = {"loss": []}, 0
        elif classes is not None and not np.array_equal(target.classes, self.classes_):
            raise ValueError(
                f"classes={target.classes.tolist()} is not the same as on last call to "
                f"partial_fit, was: {self.classes_.tolist()}."
            )
        history = train(
            self._network,
            self._rows(X, y, weight),
            None,
            epochs=1,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            patience=1,
            verbose=self.verbose,
        )
        self.history_["loss"].extend(history["loss"])
        self.n_iter_ += 1
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Labels `[N]`, or 0/1 indicators `[N, L]`."""
        logits = self._logits(X)
        if self.tuner_ is None:
            return self._target.decode(logits.argmax(axis=-1))
        return self._target.decode(self.tuner_.predict(_probabilities(logits)))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities `[N, K]` in the order of `classes_`, or `[N, L]` of each label."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities."""
        logits = self._logits(X)  # before anything that only a fitted estimator has
        return self._target.log_probabilities(logits)

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds of `classes_[1]` `[N]`, of each label `[N, L]`, or logits `[N, K]`."""
        logits = self._logits(X)
        return self._target.log_odds(logits)

    def reward_score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The reward of the predictions; `score` is accuracy, as for all classifiers."""
        labels = self.predict(X)
        return reward_of_labels(self.reward_, self._target, y, labels, sample_weight)

    @property
    def network_(self) -> keras.Model:
        """The fitted network as a Keras model of its own, from features to the policy's outputs."""
        check_is_fitted(self)
        return self._network.keras_network()

    def __sklearn_is_fitted__(self) -> bool:
        return "_network" in vars(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_class = serves(self.reward, num_classes=3)
        tags.classifier_tags.multi_label = serves(self.reward, label_columns=2)
        return tags

    def _check_arguments(self):
        check_hidden(self.hidden)
        check_whole("epochs", self.epochs, 1)
        check_whole("batch_size", self.batch_size, 1, or_none=True)
        check_whole("patience", self.patience, 1)
        check_number("learning_rate", self.learning_rate)
        check_number("cross_entropy", self.cross_entropy, zero=True)
        check_number("validation_fraction", self.validation_fraction, most=0.5)
        if self.estimator != "auto":
            get_estimator(self.estimator)

    def _validated(self, X, y, sample_weight, reset):
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=np.float32, multi_output=True, reset=reset
        )
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        return X, y, weight

    def _start(self, target, features):
        policy = choose_policy(self.policy, target)
        reward = reward_for(self.reward, target)
        recipe = Recipe(
            hidden=check_hidden(self.hidden),
            features=features,
            outputs=output_columns(policy, target),
            num_classes=target.num_classes,
            label_columns=target.label_columns,
            policy=policy,
            reward=reward,
            estimator=self.estimator,
            cross_entropy=self.cross_entropy,
        )
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self._network = Network(recipe, seed)
        self._target = target
        self.classes_ = target.classes
        self.reward_, self.policy_, self.tuner_ = reward, policy, None

    def _rows(self, X, y, weight):
        codes = self._target.encode(y)
        if self.class_weight is not None:
            balance = compute_sample_weight(self.class_weight, y)
            weight = balance if weight is None else weight * balance
        merge = self.batch_size is None or len(codes) <= self.batch_size
        return as_rows(X, codes, weight, merge)

    def _first_classes(self, y, classes, first):
        if not first:
            return self.classes_ if classes is None else classes
        if classes is None and np.ndim(y) == 1:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return classes

    def _tuned(self, rows):
        tuner = DecisionTuner(
            self.reward_,
            multilabel=self._target.multilabel,
            ordinal=isinstance(self.policy_, CumulativeLink),
        )
        codes = rows.y.astype(np.int64)
        return tuner.fit(_probabilities(self._network.logits(rows.x)), codes, rows.weight)

    def _logits(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False)
        return self._network.logits(X)


def _probabilities(logits):
    """Of each class, or of each label column."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probs = shifted / shifted.sum(axis=-1, keepdims=True)
    return probs[..., 1] if probs.ndim == 3 else probs
