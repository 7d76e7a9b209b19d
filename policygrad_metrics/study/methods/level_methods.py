"""Ordinal tasks: losses that know the order, regression on the level, and levels cut on a scale.

The predicted value is the expected level `sum_k k p_k` of the network's softmax, so that the
regressions train the very same network as all others; the default decision is that value,
rounded. Cumulative links, clm and corn have the same hidden layers and fewer outputs.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.study.methods.base import Choice, Method
from policygrad_metrics.study.methods.gradient_methods import RECOMMENDED
from policygrad_metrics.study.methods.variants import CanonicalLoss
from policygrad_metrics.surrogates import (
    cdw,
    corn,
    cross_entropy,
    oll,
    ranked_probability_score,
    slace,
    sord,
)
from policygrad_metrics.surrogates.steps import staircase_steps, tanh_steps

#: `(y_true [N], value [N], weight [N], number of classes, hyper) -> scalar`, in levels.
LevelFunction = Callable[[Tensor, Tensor, Tensor, int, Mapping[str, Any]], Tensor]

_ORDINAL = frozenset(("ordinal",))
_CUMULATIVE_PAPER = "McCullagh 1980, Regression models for ordinal data"
_SHARED_PAPER = "Vargas, Gutierrez, Hervas-Martinez 2020, Cumulative link models"


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
        # Keras takes the mean over the last axis: the values of one example.
        losses = function(truth[:, None] + shift, value[:, None] + shift, **hyper)
        return tf.math.divide_no_nan(tf.reduce_sum(weight * losses), tf.reduce_sum(weight))

    return loss


def _steps(function: Any) -> LevelFunction:
    def loss(truth, value, weight, K, hyper):
        edges = (np.arange(K - 1) + 0.5).tolist()
        return function(truth, value, weight, edges=edges, **hyper)

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


def _ordered(
    function: Any, summary: str, paper: str, levels: str | None = None, **alpha: Choice
) -> Method:
    return Method(
        function.__name__,
        summary,
        "surrogate",
        paper,
        _ORDINAL,
        build=lambda info, hyper: CanonicalLoss(info, functools.partial(function, **hyper)),
        hyperparameters=alpha,
        levels=levels,
        decision="median_level" if levels else "arg_max",
    )


ROWS: list[Method] = [
    _ordered(
        sord,
        "cross-entropy to soft labels that fall off with the distance",
        "Diaz, Marathe 2019, Soft labels for ordinal regression",
        alpha=Choice(1.0, 0.5, 5.0, log=True),
    ),
    _ordered(
        oll,
        "wrong classes pushed down by a power of their distance",
        "Castagnos, Mihelich, Dognin 2022, A simple log-based loss function",
        alpha=Choice(1.5, 1.0, 2.0),
    ),
    _ordered(
        cdw,
        "the same with large powers",
        "Polat et al. 2022, Class distance weighted cross-entropy loss",
        alpha=Choice(5.0, 3.0, 7.0),
    ),
    _ordered(
        slace,
        "cross-entropy of soft labels and probabilities accumulated around the truth",
        "Nachmani et al. 2025, SLACE",
        alpha=Choice(1.0, 0.5, 5.0, log=True),
    ),
    _ordered(
        ranked_probability_score,
        "squared error of the cumulative probabilities",
        "Epstein 1969, A scoring system for probability forecasts of ranked categories",
    ),
    _ordered(
        corn,
        "conditional binary tasks, an output for each level but the last",
        "Shi, Cao, Raschka 2021, Rank-consistent ordinal regression",
        levels="continuation_ratio",
    ),
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
        levels="cumulative_link",
    ),
    Method(
        "clm",
        "cross-entropy of levels that the same thresholds cut for all rows",
        "cross-entropy",
        _SHARED_PAPER,
        _ORDINAL,
        build=lambda info, hyper: CanonicalLoss(info, cross_entropy),
        levels="shared_thresholds",
    ),
    dataclasses.replace(
        RECOMMENDED,
        name="clm_policy_gradient",
        summary="the same as policy_gradient, of levels that the same thresholds cut for all rows",
        paper=f"{RECOMMENDED.paper}; {_SHARED_PAPER}",
        tasks=_ORDINAL,
        levels="shared_thresholds",
    ),
    dataclasses.replace(
        RECOMMENDED,
        name="cumulative_link_policy_gradient",
        summary="the same as policy_gradient, of levels that are cut on one hidden scale",
        paper=f"{RECOMMENDED.paper}; {_CUMULATIVE_PAPER}",
        tasks=_ORDINAL,
        levels="cumulative_link",
    ),
]
