"""What the estimators for tables share: validation, fitting, going on.

A member says what a target is and how it is rewarded; everything else is here.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import keras
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from policygrad_metrics.core.checks import check_number, check_truth, check_whole
from policygrad_metrics.estimators import Estimator, get_estimator
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.losses.running_counts import window_of
from policygrad_metrics.policies import Policy
from policygrad_metrics.tabular.arguments import check_hidden, full_class_weight
from policygrad_metrics.tabular.fitting import Network
from policygrad_metrics.tabular.networks import OwnNetwork
from policygrad_metrics.tabular.program import Recipe
from policygrad_metrics.tabular.rows import Rows, as_rows
from policygrad_metrics.tabular.scoring import reward_for
from policygrad_metrics.tabular.targets import output_columns
from policygrad_metrics.training.network import Network as DenseNetwork
from policygrad_metrics.training.optimizer import Rule, Schedule, read_optimizer

#: Fewer held-out rows than this say too little of when to stop, and are better trained on.
LEAST_HELD_OUT = 50


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class TabularEstimator(BaseEstimator, abc.ABC):
    """A network for rows of numbers, trained on the reward of its labels.

    The fields are the arguments that all members have; a dataclass stores them as they came, which
    is scikit-learn's rule. Members give `_learn_target`, `_policy_for`, `_balanced_by` and
    `_tuned`.
    """

    reward: Any = "auto"
    gradient_estimator: str | Estimator = "auto"
    cross_entropy: float = DEFAULT_CROSS_ENTROPY
    running_counts: bool | float | None = None
    hidden: tuple[int, ...] | Callable[[int, int], keras.Model] = (64, 64)
    epochs: int = 200
    batch_size: int | None = 256
    optimizer: str | keras.optimizers.Optimizer = "adam"
    learning_rate: float | Schedule | None = None
    early_stopping: bool = False
    validation_fraction: float = 0.1
    patience: int = 20
    tune_decision: bool = False
    class_weight: Any = None
    warm_start: bool = False
    random_state: Any = None
    verbose: int = 0

    #: What scikit-learn's validation is told of `y`.
    _target_options: ClassVar[dict[str, Any]]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X and targets y.

        Args:
            X: numbers `[N, F]`: an array, a data frame or a sparse matrix.
            y: targets `[N]`, or 0/1 indicators `[N, L]` where those can be predicted.
            sample_weight: `[N]`, not negative, or None.
        """
        self._check_arguments()
        again = self.warm_start and self.__sklearn_is_fitted__()
        given = y
        X, y, weight = self._validated(X, y, sample_weight, reset=not again, least_rows=2)
        if weight is not None:  # a class of rows that do not count is not there
            X, y, weight = X[weight > 0.0], y[weight > 0.0], weight[weight > 0.0]
        target = self._learn_target(y, self._target if again else None, given)
        rows = self._rows(target, X, y, weight)
        if not again:
            self._start(target, rows)
        self._network.set_optimizer(self._optimizer()[1], anew=True)
        held_out = None
        if self.early_stopping or self.tune_decision:
            chosen = self._network.held_out(rows, self.validation_fraction)
            if len(chosen) >= LEAST_HELD_OUT:
                held_out = rows.take(chosen)
                rows = rows.take(np.setdiff1d(np.arange(len(rows)), chosen))
        stops = self.early_stopping and held_out is not None
        patience = self.patience if stops else None
        self.history_ = self._network.train(
            rows, held_out, self.epochs, self.batch_size, patience, self.verbose
        )
        self.n_iter_ = len(self.history_["loss"])
        if self.tune_decision:
            self.tuner_ = self._tuned(rows if held_out is None else held_out)
        return self

    def _train_once(self, X, y, sample_weight, learn_target):
        """`partial_fit`: train on these rows once, going on from where training is."""
        self._check_arguments()
        if self.class_weight == "balanced" or self.tune_decision:
            raise ValueError(
                'partial_fit sees a part of the rows and can neither use class_weight="balanced" '
                "nor tune_decision=True. Give class weights as a dict, and tune afterwards."
            )
        first = not self.__sklearn_is_fitted__()
        X, y, weight = self._validated(X, y, sample_weight, reset=first)
        target = learn_target(y, first)
        rows = self._rows(target, X, y, weight)
        if first:
            self._start(target, rows)
            self.history_, self.n_iter_ = {"loss": []}, 0
        self._network.set_optimizer(self._optimizer()[1], anew=False)
        history = self._network.train(rows, None, 1, self.batch_size, None, self.verbose)
        self.history_["loss"] += history["loss"]
        self.n_iter_ += 1
        return self

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
        return tags

    @abc.abstractmethod
    def _learn_target(self, y: Any, known: Any, given: Any) -> Any:
        """The kind of target that y is; one that is known already stays, if y fits it.

        `given` is y before it became an array.
        """

    @abc.abstractmethod
    def _policy_for(self, target: Any, rows: Rows) -> Policy:
        """The policy, with whatever it takes from the training rows."""

    @abc.abstractmethod
    def _balanced_by(self, target: Any, y: Any) -> Any:
        """The labels whose frequencies and names `class_weight` means."""

    @abc.abstractmethod
    def _tuned(self, rows: Rows) -> Any:
        """A `DecisionTuner` fitted on these rows."""

    def _check_arguments(self) -> None:
        check_hidden(self.hidden)
        check_whole("epochs", self.epochs, 1)
        check_whole("batch_size", self.batch_size, 1, or_none=True)
        check_whole("patience", self.patience, 1)
        for name in ("early_stopping", "tune_decision", "warm_start"):
            check_truth(name, getattr(self, name))
        if not isinstance(self.verbose, (bool, np.bool_)):
            check_whole("verbose", self.verbose, 0)
        self._optimizer()
        check_number("cross_entropy", self.cross_entropy, zero=True)
        check_number("log_likelihood", self._likelihood(), zero=True)
        check_number("validation_fraction", self.validation_fraction, most=0.5)
        window_of(self.running_counts)
        if self.gradient_estimator != "auto":
            get_estimator(self.gradient_estimator)

    def _likelihood(self) -> float:
        """The weight of the values' likelihood in the loss: labels have none."""
        return 0.0

    def _optimizer(self) -> tuple[Rule, float | None]:
        return read_optimizer(self.optimizer, self.learning_rate)

    def _validated(self, X, y, sample_weight, reset, least_rows=1):
        X, y = self._numbers(
            X, y, ensure_min_samples=least_rows, reset=reset, **self._target_options
        )
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        return X, y, weight

    def _numbers(self, *data, **options):
        try:
            return validate_data(self, *data, accept_sparse="csr", dtype=np.float32, **options)
        except ValueError as error:
            if "inhomogeneous shape" in str(error):
                raise ValueError(
                    f"rows of X, and rows of y, must be of one length; {error} Sets of labels "
                    "become columns by sklearn.preprocessing.MultiLabelBinarizer."
                ) from error
            if "could not convert string to float" not in str(error):
                raise
            values = "X and y" if self._target_options.get("y_numeric") else "X"
            raise ValueError(
                f"{values} must hold numbers; {error}. Encode text and categories before, for "
                "example by OneHotEncoder in a ColumnTransformer."
            ) from error

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
        )
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self._network = Network(recipe, seed, learning_rate)
        self._target = target
        self.reward_, self.tuner_ = reward, None
        self.policy_: Any = policy

    def _rows(self, target, X, y, weight):
        encoded = target.encode(y)
        if self.class_weight is not None:
            classes = [0, 1] if target.multilabel else target.classes.tolist()
            full = full_class_weight(self.class_weight, classes, target.label_columns)
            balance = compute_sample_weight(full, self._balanced_by(target, y))
            weight = balance if weight is None else weight * balance
        merge = self.batch_size is None or len(encoded) <= self.batch_size
        return as_rows(X, encoded, weight, merge)

    def _outputs(self, X):
        check_is_fitted(self)
        return self._network.outputs(self._numbers(X, reset=False))

    def _logits(self, X):
        outputs = self._outputs(X)  # before anything that only a fitted estimator has
        return np.asarray(self.policy_.logits(outputs))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Of each class `[N, K]`, or of each label column `[N, L]`."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probs = shifted / shifted.sum(axis=-1, keepdims=True)
    return probs[..., 1] if probs.ndim == 3 else probs
