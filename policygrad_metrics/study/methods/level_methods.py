"""Ordinal tasks: a regression on the level, then binned; and a cumulative link.

The predicted value is the expected level `sum_k k p_k` of the network's softmax, so that the
regressions train the very same network as all others; the default decision is that value,
rounded. The cumulative link's network has the same hidden layers and an output fewer: thresholds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.study.methods.base import Choice, Method
from policygrad_metrics.study.methods.gradient_methods import RECOMMENDED
from policygrad_metrics.study.methods.variants import CanonicalLoss
from policygrad_metrics.surrogates import cross_entropy
from policygrad_metrics.surrogates.steps import staircase_steps, tanh_steps

#: `(y_true [N], value [N], weight [N], number of classes, hyper) -> scalar`, in levels.
LevelFunction = Callable[[Tensor, Tensor, Tensor, int, Mapping[str, Any]], Tensor]

_ORDINAL = frozenset(("ordinal",))
_CUMULATIVE_PAPER = "McCullagh 1980, Regression models for ordinal data"


def on_expected_level(function: LevelFunction, hyper: Mapping[str, Any]) -> Callable[..., Tensor]:
    """A loss of the expected level, as a function of canonical tensors."""

    def loss(logits, y_true, weight):
        K = logits.shape[-1]
        value = tf.linalg.matvec(tf.nn.softmax(logits), tf.range(K, dtype=logits.dtype))
        truth = tf.cast(y_true, logits.dtype)
        return function(truth[:, 0], value[:, 0], weight[:, 0], K, hyper)

    return loss


def _keras(function: Any, shift: float = 0.0) -> LevelFunction:
    def loss(truth, value, weight, K, hyper):
        del K
        options = {"delta": hyper["delta"]} if "delta" in hyper else {}
        # Keras takes the mean over the last axis: the values of one example.
        losses = function(truth[:, None] + shift, value[:, None] + shift, **options)
        return tf.math.divide_no_nan(tf.reduce_sum(weight * losses), tf.reduce_sum(weight))

    return loss


def _steps(function: Any) -> LevelFunction:
    def loss(truth, value, weight, K, hyper):
        edges = (np.arange(K - 1) + 0.5).tolist()
        return function(truth, value, weight, edges=edges, sharpness=hyper["sharpness"])

    return loss


def _row(
    name: str, summary: str, paper: str, function: LevelFunction, **hyperparameters: Choice
) -> Method:
    return Method(
        name,
        summary,
        "level regression",
        paper,
        _ORDINAL,
        build=lambda info, hyper: CanonicalLoss(info, on_expected_level(function, hyper)),
        hyperparameters=hyperparameters,
        decision="rounded_level",
    )


ROWS: list[Method] = [
    _row(
        "level_mse",
        "squared error of the expected level",
        "Legendre 1805; keras.losses.mean_squared_error",
        _keras(keras.losses.mean_squared_error),
    ),
    _row(
        "level_mae",
        "absolute error of the expected level",
        "Laplace 1774; keras.losses.mean_absolute_error",
        _keras(keras.losses.mean_absolute_error),
    ),
    _row(
        "level_mape",
        "relative error of 1 + the expected level",
        "keras.losses.mean_absolute_percentage_error",
        _keras(keras.losses.mean_absolute_percentage_error, shift=1.0),
    ),
    _row(
        "level_huber",
        "squared error of the expected level, linear beyond delta",
        "Huber 1964; keras.losses.huber",
        _keras(keras.losses.huber),
        delta=Choice(1.0, 0.1, 3.0, log=True),
    ),
    _row(
        "tanh_steps",
        "levels by smooth steps, a hyperbolic tangent at each edge",
        "Folklore; see surrogates.steps",
        _steps(tanh_steps),
        sharpness=Choice(2.0, 0.5, 10.0, log=True),
    ),
    _row(
        "staircase_steps",
        "levels by a sigmoid staircase with a gradient between the steps",
        "Folklore; see surrogates.steps",
        _steps(staircase_steps),
        sharpness=Choice(5.0, 2.0, 20.0, log=True),
    ),
    Method(
        "cumulative_link",
        "cross-entropy of levels that are cut on one hidden scale",
        "cross-entropy",
        _CUMULATIVE_PAPER,
        _ORDINAL,
        build=lambda info, hyper: CanonicalLoss(info, cross_entropy),
        cumulative=True,
    ),
    dataclasses.replace(
        RECOMMENDED,
        name="cumulative_link_policy_gradient",
        summary="the same as policy_gradient, of levels that are cut on one hidden scale",
        paper=f"{RECOMMENDED.paper}; {_CUMULATIVE_PAPER}",
        tasks=_ORDINAL,
        cumulative=True,
    ),
]
