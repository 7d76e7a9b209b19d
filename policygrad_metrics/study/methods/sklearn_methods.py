"""Methods that train no network: the majority class and scikit-learn's strongest simple models."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from policygrad_metrics.study.methods.base import EVERY_TASK, Choice, Method


class ProbabilityModel(BaseEstimator):
    """A classifier whose probabilities always have the task's shape.

    Classes that the training part lacks get probability 0; label columns get a classifier each,
    and a column of one value only a constant.

    Args:
        estimator: a scikit-learn classifier with `predict_proba`.
        num_classes: K.
        multilabel: whether y is `[N, L]`.
    """

    def __init__(self, estimator: Any, num_classes: int = 2, multilabel: bool = False):
        self.estimator = estimator
        self.num_classes = num_classes
        self.multilabel = multilabel

    def fit(self, x: Any, y: Any) -> Self:
        """Fit to features `[N, F]` and labels `[N]` (multi-label `[N, L]`)."""
        y = np.asarray(y)
        columns = y.T if self.multilabel else y[None]
        self.estimators_ = [self._fitted(x, column) for column in columns]
        return self

    def predict_proba(self, x: Any) -> np.ndarray:
        """Return probabilities, float64 `[N, K]` (multi-label `[N, L]`, of label 1)."""
        check_is_fitted(self, "estimators_")
        tables = []
        for estimator in self.estimators_:
            table = np.zeros((len(x), self.num_classes))
            table[:, estimator.classes_] = estimator.predict_proba(x)
            tables.append(table)
        if self.multilabel:
            return np.stack([table[:, 1] for table in tables], axis=-1)
        return tables[0]

    def _fitted(self, x, y):
        if y.min() == y.max():
            return DummyClassifier(strategy="prior").fit(x, y)
        estimator: Any = clone(self.estimator)
        return estimator.fit(x, y)


class LastLabel(BaseEstimator):
    """Persistence: it will be as it was; x is the label last known, `[N, 1]`.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int = 2):
        self.num_classes = num_classes

    def fit(self, x: Any, y: Any) -> Self:
        """There is nothing to learn."""
        return self

    def predict_proba(self, x: Any) -> np.ndarray:
        """Return certainty of the last label, float64 `[N, K]`."""
        return np.eye(self.num_classes)[np.asarray(x, np.int64)[:, 0]]


def _logistic_regression(class_weight: str | None) -> Any:
    def make(hyper, seed):
        return LogisticRegression(
            C=hyper["C"], class_weight=class_weight, max_iter=2000, random_state=seed
        )

    return make


def _gradient_boosting(class_weight: str | None) -> Any:
    def make(hyper, seed):
        return HistGradientBoostingClassifier(
            learning_rate=hyper["learning_rate"],
            max_iter=100,
            max_leaf_nodes=round(hyper["max_leaf_nodes"]),
            l2_regularization=hyper["l2_regularization"],
            early_stopping=False,  # type: ignore[arg-type]  # its default is a text
            class_weight=class_weight,
            random_state=seed,
        )

    return make


def _row(name: str, summary: str, paper: str, make: Any, **hyperparameters: Choice) -> Method:
    family = "trivial" if name == "majority" else "scikit-learn"
    return Method(
        name,
        summary,
        family,
        paper,
        EVERY_TASK,
        predictor=lambda info, hyper, seed: ProbabilityModel(
            make(hyper, seed), info.num_classes, info.task == "multilabel"
        ),
        hyperparameters=hyperparameters,
    )


_LOGISTIC = {"C": Choice(1.0, 1e-3, 1e3, log=True)}
_BOOSTING = {
    "learning_rate": Choice(0.1, 0.02, 0.5, log=True),
    "max_leaf_nodes": Choice(31.0, 7.0, 127.0, log=True),
    "l2_regularization": Choice(0.0, 0.0, 10.0),
}
_LOGISTIC_PAPER = "Cox 1958, The regression analysis of binary sequences"
_BOOSTING_PAPER = "Friedman 2001, Greedy function approximation; Ke et al. 2017, LightGBM"

ROWS: list[Method] = [
    _row(
        "majority",
        "the most frequent class of the training part, whatever the features",
        "sklearn.dummy.DummyClassifier",
        lambda hyper, seed: DummyClassifier(strategy="prior"),
    ),
    Method(
        "persistence",
        "the label last known when the row is predicted; for series",
        "trivial",
        "the forecaster's null hypothesis; see Murphy 1992, Climatology, persistence",
        frozenset({"binary", "multiclass", "ordinal"}),
        predictor=lambda info, hyper, seed: LastLabel(info.num_classes),
        reads="last_label",
    ),
    _row(
        "logistic_regression",
        "scikit-learn's logistic regression",
        _LOGISTIC_PAPER,
        _logistic_regression(None),
        **_LOGISTIC,
    ),
    _row(
        "logistic_regression_balanced",
        "logistic regression with every class counting alike",
        _LOGISTIC_PAPER,
        _logistic_regression("balanced"),
        **_LOGISTIC,
    ),
    _row(
        "gradient_boosting",
        "scikit-learn's histogram gradient boosting, 100 trees a class",
        _BOOSTING_PAPER,
        _gradient_boosting(None),
        **_BOOSTING,
    ),
    _row(
        "gradient_boosting_balanced",
        "histogram gradient boosting with every class counting alike",
        _BOOSTING_PAPER,
        _gradient_boosting("balanced"),
        **_BOOSTING,
    ),
]
