"""What the scikit-learn estimators share, whatever learns: validation, held-out rows, tuning.

A learner (`fitting.Network`, `trees.Trees`) gives outputs for rows; everything else is here and in
the members.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, ClassVar, Self

import numpy as np
import scipy.special
from sklearn.base import BaseEstimator
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from policygrad_metrics.core.checks import check_truth
from policygrad_metrics.estimators import Estimator
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.tabular.arguments import check_training, full_class_weight
from policygrad_metrics.tabular.rows import Rows, as_rows

#: Fewer held-out rows than this say too little of when to stop, and are better trained on.
LEAST_HELD_OUT = 50


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class RewardEstimator(BaseEstimator, abc.ABC):
    """A learner for rows of numbers, trained on the reward of its labels.

    The fields are the arguments that all members have; a dataclass stores them as they came, which
    is scikit-learn's rule. Members give `_learn_target`, `_start`, `_train`, `_balanced_by` and
    `_tuned`.
    """

    reward: Any = "auto"
    gradient_estimator: str | Estimator = "auto"
    cross_entropy: float = DEFAULT_CROSS_ENTROPY
    early_stopping: bool = False
    validation_fraction: float = 0.1
    patience: int = 20
    tune_decision: bool = False
    class_weight: Any = None
    random_state: Any = None
    verbose: int = 0

    #: What scikit-learn's validation is told of `y`.
    _target_options: ClassVar[dict[str, Any]]
    #: What it is told of `X`.
    _row_options: ClassVar[dict[str, Any]] = {"accept_sparse": "csr", "dtype": np.float32}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows X and targets y.

        Args:
            X: numbers `[N, F]`: an array, a data frame or a sparse matrix.
            y: targets `[N]`, or 0/1 indicators `[N, L]` where those can be predicted.
            sample_weight: `[N]`, not negative, or None.
        """
        return self._fit(X, y, sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: Any, **beside: Any) -> Self:
        """`fit`, with what else is known of each row."""
        self._check_arguments()
        again = self._goes_on()
        given = y
        X, y, weight = self._validated(X, y, sample_weight, reset=not again, least_rows=2)
        beside = self._beside(X.shape[0], **beside)
        if weight is not None:  # a class of rows that do not count is not there
            counted = weight > 0.0
            X, y, weight = X[counted], y[counted], weight[counted]
            beside = {name: array[counted] for name, array in beside.items()}
        target = self._learn_target(y, self._target if again else None, given)
        rows = self._rows(target, X, y, weight, **beside)
        if not again:
            self._start(target, rows)
        held_out = None
        if self.early_stopping or self._tunes():
            chosen = self._learner.held_out(rows, self.validation_fraction)
            rows, held_out = rows.without(chosen, LEAST_HELD_OUT)
        stops = self.early_stopping and held_out is not None
        self._train(rows, held_out, self.patience if stops else None)
        if self._tunes():
            self.tuner_ = self._tuned(rows if held_out is None else held_out)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return "_learner" in vars(self)

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
    def _start(self, target: Any, rows: Rows) -> None:
        """Make a learner, and what is known before training."""

    def _begin(self, learner: Any, target: Any, reward: Any, policy: Any) -> None:
        """Keep what `_start` made; the learner has `outputs(x)` and `held_out(rows, share)`."""
        self._learner: Any = learner
        self._target: Any = target
        self.policy_: Any = policy
        self.reward_, self.tuner_ = reward, None

    @abc.abstractmethod
    def _train(self, rows: Rows, held_out: Rows | None, patience: int | None) -> None:
        """Train the learner; with patience, stop by the held-out rows."""

    @abc.abstractmethod
    def _balanced_by(self, target: Any, y: Any) -> Any:
        """The labels whose frequencies and names `class_weight` means."""

    @abc.abstractmethod
    def _tuned(self, rows: Rows) -> Any:
        """A `DecisionTuner` fitted on these rows."""

    def _check_arguments(self) -> None:
        check_training(self)
        check_truth("tune_decision", self.tune_decision)

    def _tunes(self) -> bool:
        """Whether the decision rule is chosen after training."""
        return self.tune_decision

    def _goes_on(self) -> bool:
        """Whether `fit` goes on from the last `fit`."""
        return False

    def _merges(self, count: int) -> bool:
        """Whether equal rows of so many are made one."""
        return False

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
            return validate_data(self, *data, **self._row_options, **options)
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

    def _beside(self, rows: int, **given: Any) -> dict[str, np.ndarray]:
        """What else is known of each of so many rows, as arrays."""
        arrays = {name: np.asarray(each) for name, each in given.items() if each is not None}
        for name, array in arrays.items():
            if array.shape[:1] != (rows,):
                raise ValueError(
                    f"{name} must hold one entry for each of the {rows} rows of X; it has shape "
                    f"{array.shape}."
                )
        return arrays

    def _rows(self, target, X, y, weight, **beside):
        encoded = target.encode(y)
        if self.class_weight is not None:
            classes = [0, 1] if target.multilabel else target.classes.tolist()
            full = full_class_weight(self.class_weight, classes, target.label_columns)
            balance = compute_sample_weight(full, self._balanced_by(target, y))
            weight = balance if weight is None else weight * balance
        return as_rows(X, encoded, weight, merge=self._merges(len(encoded)), **beside)

    def _outputs(self, X):
        check_is_fitted(self)
        return self._learner.outputs(self._numbers(X, reset=False))

    def _logits(self, X):
        outputs = self._outputs(X)  # before anything that only a fitted estimator has
        return np.asarray(self.policy_.logits(outputs))


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Of each class `[N, K]`, or of each label column `[N, L]`."""
    probs = scipy.special.softmax(logits, axis=-1)
    return probs[..., 1] if probs.ndim == 3 else probs
