"""The expected reward as an objective of boosted trees, in LightGBM's own conventions.

    loss = W (1 - E[R]) + c CE,   W the sum of the weights, CE summed over the examples

on the whole training set at once. Its gradient is exact where that of `expected_reward` is. A tree
needs a positive curvature, and that of E[R] has either sign: .5 |gradient| stands in for it (see
docs/mathematics.md), plus the cross-entropy's own, c p (1 - p).
"""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
import tensorflow as tf

from policygrad_metrics.core.checks import check_number
from policygrad_metrics.estimators import Estimator, expected_reward, get_estimator
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY
from policygrad_metrics.rewards import Reward, get_reward

#: `(y_true, raw_score, weight) -> ...` of scikit-learn's side, `(raw_score, dataset) -> ...` of
#: `lgb.train`.
Objective = Callable[..., tuple[np.ndarray, np.ndarray]]
Metric = Callable[..., tuple[str, float, bool]]


def lightgbm_objective(
    reward: str | Reward | Callable[..., float],
    *,
    cross_entropy: float = DEFAULT_CROSS_ENTROPY,
    gradient_estimator: str | Estimator = "auto",
    y_true: Any = None,
    seed: int = 0,
) -> Objective:
    """The expected reward as `objective` of `LGBMClassifier` or in the parameters of `lgb.train`.

    Labels are whole numbers from 0. Raw scores are log-odds `[N]` of two classes, or logits
    `[N, K]` with `num_class=K`. Start at the class priors with `init_score=prior_logits(...)`,
    and add these to the raw scores that are predicted: LightGBM does not.

    Args:
        reward: As for `PolicyGradientLoss`.
        cross_entropy: c, the weight of the cross-entropy. Without it, trees of a constant
            reward (F1 where no positive is predicted) have nothing to climb.
        gradient_estimator: As for `PolicyGradientLoss`.
        y_true: 0/1 label columns `[N, L]` of the training set (multi-label), which a LightGBM
            data set cannot hold; with `num_class=L`.
        seed: Of estimators that draw label sets.

    Returns:
        `objective(y_true, raw_score, weight=None) -> (gradient, hessian)`, both shaped like
        `raw_score`; also called as `objective(raw_score, dataset)`.

    >>> objective = lightgbm_objective("accuracy", cross_entropy=0.0)
    >>> gradient, hessian = objective(np.array([1.0, 0.0]), np.array([0.0, 2.0]))
    >>> gradient.round(4).tolist(), hessian.round(4).tolist()
    ([-0.25, 0.105], [0.125, 0.0525])
    """
    check_number("cross_entropy", cross_entropy, zero=True)
    if gradient_estimator != "auto":
        gradient_estimator = get_estimator(gradient_estimator)
    found = get_reward(reward)
    return _Objective(found, _columns(y_true), cross_entropy, gradient_estimator, seed)


def lightgbm_metric(
    reward: str | Reward | Callable[..., float], *, from_logits: bool = True, y_true: Any = None
) -> Metric:
    """The reward of the likeliest labels as `eval_metric` or `feval`, for early stopping.

    Args:
        reward: As for `PolicyGradientLoss`.
        from_logits: Whether LightGBM gives raw scores, as it does for `lightgbm_objective`; False
            for its own objectives, of which it gives probabilities.
        y_true: Label columns `[N, L]` of the validation set (multi-label).

    Returns:
        `metric(y_true, raw_score, weight=None) -> (name, value, True)`; also called as
        `metric(raw_score, dataset)`.

    >>> lightgbm_metric("accuracy")(np.array([1.0, 0.0]), np.array([0.3, 2.0]))
    ('accuracy', 0.5, True)
    """
    return _Metric(get_reward(reward), _columns(y_true), from_logits)


def prior_logits(y_true: Any, sample_weight: Any = None, *, num_classes: int = 2) -> np.ndarray:
    """Logits of the class shares, where boosting starts; each class counts one half more.

    Args:
        y_true: Whole numbers `[N]` from 0 to K - 1, or label columns `[N, L]`.
        sample_weight: `[N]`, or None.
        num_classes: K.

    Returns:
        A log-odds, shape `[]`, of two classes; `[K]` of more; `[L]` of label columns.

    >>> prior_logits([0, 0, 0, 1]).round(4).item()  # log(1.5 / 3.5)
    -0.8473
    """
    y = np.asarray(y_true)
    columns = y if y.ndim == 2 or num_classes == 2 else y[:, None] == np.arange(num_classes)
    weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    count = weight @ columns + 0.5
    if y.ndim == 1 and num_classes > 2:
        return np.log(count / count.sum())
    return np.log(count / (weight.sum() + 1.0 - count))


@dataclasses.dataclass(frozen=True, eq=False)
class _Objective:
    reward: Reward
    columns: np.ndarray | None
    cross_entropy: float
    gradient_estimator: str | Estimator
    seed: int

    def __call__(self, y_true, raw_score, weight=None):
        y, logits, weight = _read(y_true, raw_score, weight, self.columns)
        # Estimators that draw do so anew for each tree.
        seed = (self.seed + zlib.crc32(np.ascontiguousarray(logits).data)) % 2**31
        _, reward_gradient, _ = expected_reward(
            self.reward, y, logits, weight, gradient_estimator=self.gradient_estimator, seed=seed
        )
        total = len(y) if weight is None else weight.sum()
        climb = reward_gradient * total
        slope, curvature = cross_entropy_derivatives(y, logits, weight)
        c = self.cross_entropy
        return c * slope - climb, c * curvature + 0.5 * np.abs(climb)


@dataclasses.dataclass(frozen=True, eq=False)
class _Metric:
    reward: Reward
    columns: np.ndarray | None
    from_logits: bool

    def __call__(self, y_true, raw_score, weight=None):
        y, scores, weight = _read(y_true, raw_score, weight, self.columns)
        if y.ndim == scores.ndim:
            labels, num_classes = (scores > (0.0 if self.from_logits else 0.5)).astype(int), 2
        else:
            labels, num_classes = scores.argmax(axis=1), scores.shape[1]
        reward = self.reward.for_multilabel() if y.ndim == 2 else self.reward
        weights = () if weight is None else (weight.astype(np.float32),)
        score = _scorer(reward, num_classes, y.shape[1:], len(weights))
        return (
            reward.name,
            float(score(y.astype(np.int32), labels.astype(np.int32), *weights)),
            True,
        )


@functools.lru_cache(maxsize=64)
def _scorer(reward: Reward, num_classes: int, columns: tuple[int, ...], weights: int) -> Any:
    """A reward of labels, compiled once for all sizes: early stopping asks for it at each tree."""
    labels, weight = tf.TensorSpec([None, *columns], tf.int32), tf.TensorSpec([None], tf.float32)

    @tf.function(autograph=False, input_signature=[labels, labels, *[weight] * weights])
    def score(y_true, y_pred, *weight):
        return reward(y_true, y_pred, *weight, num_classes=num_classes)

    return score


def cross_entropy_derivatives(
    y: np.ndarray, logits: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian diagonal of the summed cross-entropy, shaped like the logits.

    Args:
        y: Labels `[N]`, or label columns `[N, L]`.
        logits: `[N]`, `[N, K]` or `[N, L]`.
        weight: `[N]`, of label columns also `[N, L]`, or None.
    """
    if y.ndim == logits.ndim:
        p = scipy.special.expit(logits)
        slope = p - y
    else:
        p = scipy.special.softmax(logits, axis=1)
        slope = p.copy()
        slope[np.arange(len(y)), y] -= 1.0
    curvature = p * (1.0 - p)
    if weight is None:
        return slope, curvature
    weight = weight[:, None] if weight.ndim < logits.ndim else weight
    return slope * weight, curvature * weight


def _columns(y_true):
    if y_true is None:
        return None
    y = np.asarray(y_true)
    if y.ndim != 2 or not np.isin(y, (0, 1)).all():
        raise ValueError(
            "y_true must be 0/1 label columns [N, L], or None where LightGBM's data set holds the "
            f"labels; it has shape {y.shape}."
        )
    return y.astype(np.int64)


def _read(y_true, raw_score, weight, columns):
    """Labels, scores and weights of a call of either kind."""
    if hasattr(raw_score, "get_label"):
        dataset, raw_score = raw_score, y_true
        y_true, weight = dataset.get_label(), dataset.get_weight()
    y = np.asarray(y_true) if columns is None else columns
    if columns is None:
        numbers = y.astype(np.int64)
        if (numbers != y).any():
            raise ValueError(
                "labels of lightgbm_objective and lightgbm_metric must be whole numbers from 0; "
                f"they hold {y[numbers != y][:8].tolist()}."
            )
        y = numbers
    weight = None if weight is None else np.asarray(weight, np.float64)
    return y, np.asarray(raw_score, np.float64), weight
