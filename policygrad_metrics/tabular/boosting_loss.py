"""The loss of boosted trees on the expected reward, whatever library grows them.

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
from typing import Any, Self

import numpy as np
import scipy.special
import tensorflow as tf

from policygrad_metrics.core.batch import Batch
from policygrad_metrics.core.checks import check_number
from policygrad_metrics.estimators import Estimator, expected_reward, get_estimator
from policygrad_metrics.losses.lagrangian import Lagrangian
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.rewards.inequalities import Constraints


class Floors:
    """Constraints and their multipliers, which move once at each tree.

    The rule is that of `losses.lagrangian`; no counts are kept, since those of all rows are known.

    Args:
        constraints: none of them on groups.

    Raises:
        ValueError: one is on groups.
    """

    def __init__(self, constraints: Constraints):
        if constraints.groups > 1:
            raise ValueError(
                "subject_to= of boosted trees cannot be on groups: tune their decision with "
                "DecisionTuner, which takes groups."
            )
        self._lagrangian = Lagrangian(constraints)
        self.multipliers = np.zeros(len(constraints.bounds), np.float32)

    def slope(self, y: np.ndarray, logits: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """What the constraints add to the gradient of E[R], shaped like the logits.

        Args:
            y: labels `[N]`, or label columns `[N, L]`.
            logits: `[N]`, `[N, K]` or `[N, L]`.
            weight: `[N]`, or None.
        """
        positive = y.ndim == logits.ndim  # log-odds of one class, or of label columns
        z = np.reshape(logits, (len(y), -1))
        z = np.stack([np.zeros_like(z), z], axis=-1) if positive else z[:, None, :]
        N, C, K = z.shape
        each = np.ones((N, 1)) if weight is None else np.reshape(weight, (N, 1))
        batch = Batch(
            y_true=tf.constant(np.reshape(y, (N, C)), tf.int32),
            weight=tf.constant(np.repeat(each, C, axis=1), tf.float32),
            num_classes=K,
            multilabel=y.ndim == 2,
            logits=tf.constant(z, tf.float32),
        )
        _, counts = self._lagrangian.initial_state(K, C)
        state: Any = (tf.constant(self.multipliers), tf.constant(counts))
        slope, (after, _) = self._lagrangian.step(batch, state)
        self.multipliers = after.numpy()
        found = slope.numpy().astype(np.float64)
        return np.reshape(found[..., 1] if positive else found, logits.shape)


@dataclasses.dataclass(frozen=True, eq=False)
class RewardLoss:
    """The loss; use `RewardLoss.of`, which checks the arguments.

    Args:
        reward: What is to be maximised.
        cross_entropy: c.
        gradient_estimator: As for `PolicyGradientLoss`.
        seed: Of estimators that draw label sets.
        floors: Constraints that training keeps, or None.
    """

    reward: Reward
    cross_entropy: float
    gradient_estimator: str | Estimator
    seed: int
    floors: Floors | None = None

    @classmethod
    def of(
        cls,
        reward: str | Reward | Callable[..., float],
        cross_entropy: float,
        gradient_estimator: str | Estimator,
        seed: int,
        subject_to: Any = None,
    ) -> Self:
        """Return the loss of a reward or its name.

        Raises:
            ValueError: The reward or the estimator is not known, or c is negative.
        """
        check_number("cross_entropy", cross_entropy, zero=True)
        if gradient_estimator != "auto":
            gradient_estimator = get_estimator(gradient_estimator)
        floors = None if subject_to is None else Floors(Constraints.of(subject_to))
        return cls(get_reward(reward), cross_entropy, gradient_estimator, seed, floors)

    def derivatives(
        self, y: np.ndarray, logits: np.ndarray, weight: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and curvature, shaped like the logits.

        Args:
            y: Labels `[N]`, or label columns `[N, L]`.
            logits: `[N]`, `[N, K]` or `[N, L]`, float64.
            weight: `[N]`, or None.
        """
        # Estimators that draw do so anew for each tree.
        seed = (self.seed + zlib.crc32(np.ascontiguousarray(logits).data)) % 2**31
        _, reward_gradient, _ = expected_reward(
            self.reward, y, logits, weight, gradient_estimator=self.gradient_estimator, seed=seed
        )
        if self.floors is not None:
            reward_gradient = reward_gradient + self.floors.slope(y, logits, weight)
        climb = reward_gradient * (len(y) if weight is None else weight.sum())
        slope, curvature = cross_entropy_derivatives(y, logits, weight)
        c = self.cross_entropy
        return c * slope - climb, c * curvature + 0.5 * np.abs(climb)


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


def reward_of_decisions(
    reward: Reward, y: np.ndarray, scores: np.ndarray, weight: np.ndarray | None, cut: float = 0.0
) -> float:
    """The reward of the likeliest labels.

    Args:
        reward: What they are worth.
        y: Labels `[N]`, or label columns `[N, L]`.
        scores: Of the positive class or the columns, shaped like `y`, or of K classes `[N, K]`.
        weight: `[N]`, or None.
        cut: The score above which a label is positive.
    """
    if y.ndim == scores.ndim:
        labels, num_classes = (scores > cut).astype(np.int32), 2
    else:
        labels, num_classes = scores.argmax(axis=1).astype(np.int32), scores.shape[1]
    reward = reward.for_multilabel() if y.ndim == 2 else reward
    weights = () if weight is None else (weight.astype(np.float32),)
    score = _scorer(reward, num_classes, y.shape[1:], len(weights))
    return float(score(y.astype(np.int32), labels, *weights))


@functools.lru_cache(maxsize=64)
def _scorer(reward: Reward, num_classes: int, columns: tuple[int, ...], weights: int) -> Any:
    """A reward of labels, compiled once for all sizes: early stopping asks for it at each tree."""
    labels, weight = tf.TensorSpec([None, *columns], tf.int32), tf.TensorSpec([None], tf.float32)

    @tf.function(autograph=False, input_signature=[labels, labels, *[weight] * weights])
    def score(y_true, y_pred, *weight):
        return reward(y_true, y_pred, *weight, num_classes=num_classes)

    return score


def whole_labels(y_true: Any) -> np.ndarray:
    """Labels as int64.

    Raises:
        ValueError: Some are no whole numbers.
    """
    y = np.asarray(y_true)
    numbers = y.astype(np.int64)
    if (numbers != y).any():
        raise ValueError(
            "labels of boosted trees must be whole numbers from 0; they hold "
            f"{y[numbers != y][:8].tolist()}."
        )
    return numbers
