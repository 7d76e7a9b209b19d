"""scikit-learn's linear models, and constants, as Keras networks of one layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from policygrad_metrics.study.methods import Method, TaskInfo
from policygrad_metrics.study.methods.sklearn_methods import ProbabilityModel

#: The logit of what has probability 0: in float32 its exponential is 0 beside any other.
_NEVER = -1e4


def is_linear(method: Method) -> bool:
    """Return whether a method's model is a linear one, or a constant.

    >>> from policygrad_metrics.study.methods import get_method
    >>> is_linear(get_method("logistic_regression")), is_linear(get_method("gradient_boosting"))
    (True, False)
    """
    if method.family not in ("scikit-learn", "trivial"):
        return False
    inner = getattr(method.model(TaskInfo("binary", "accuracy")), "estimator", None)
    return isinstance(inner, LogisticRegression | DummyClassifier)


def one_layer(model: ProbabilityModel, features: int, task: str) -> keras.Model:
    """Return a network with the probabilities of a fitted model.

    Args:
        model: The model.
        features: How many it reads.
        task: As for `Dataset`.
    """
    found = [_logits(one, features, model.num_classes) for one in model.estimators_]
    if task in ("binary", "multilabel"):
        found = [(weights[:, 1:] - weights[:, :1], bias[1:] - bias[:1]) for weights, bias in found]
    weights, bias = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    network = keras.Sequential([keras.layers.Input((features,)), keras.layers.Dense(len(bias))])
    network.set_weights([weights, bias])
    return network


def _logits(fitted: Any, features: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights `[F, K]` and biases `[K]`; classes that the training part lacks are never drawn."""
    weights, bias = np.zeros((features, num_classes)), np.full(num_classes, _NEVER)
    seen = np.asarray(fitted.classes_, int)
    if isinstance(fitted, DummyClassifier):
        bias[seen] = np.log(fitted.class_prior_)
    elif len(seen) == 2:
        weights[:, seen[1]], bias[seen] = fitted.coef_[0], (0.0, fitted.intercept_[0])
    else:
        weights[:, seen], bias[seen] = fitted.coef_.T, fitted.intercept_
    return weights, bias
