"""The expected reward of any learner's logits, its gradient and its curvature, as NumPy arrays.

Boosted trees, linear models and whatever else gives logits can climb the expected reward J. The
examples are independent under the policy, so J is linear in the probabilities p_i of each example,
and for softmax logits exactly

    dJ/dlogits[i, c] = g[i, c] = p_i[c] (Q[i, c] - J)
    d2J/dlogits[i, c]^2 = (1 - 2 p_i[c]) g[i, c]
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Batch
from policygrad_metrics.estimators.base import Estimator
from policygrad_metrics.estimators.kept import kept
from policygrad_metrics.estimators.poisson_binomial import PoissonBinomial
from policygrad_metrics.estimators.registry import (
    get_estimator,
    reward_of_sites,
    strongest_estimator,
)
from policygrad_metrics.rewards import Reward, get_reward


class ExpectedReward(NamedTuple):
    """What `expected_reward` returns.

    Args:
        value: E[R], a float.
        gradient: float64, shaped like the logits.
        hessian_diagonal: float64, shaped like the logits; of either sign.
    """

    value: float
    gradient: np.ndarray
    hessian_diagonal: np.ndarray


def expected_reward(
    reward: str | Reward | Any,
    y_true: Any,
    logits: Any,
    sample_weight: Any = None,
    *,
    gradient_estimator: str | Estimator = "auto",
    seed: int = 0,
) -> ExpectedReward:
    """E[R] of labels drawn from the logits, its gradient and the diagonal of its Hessian.

    The reward is scored on all N examples together. Programs are compiled for sizes N in steps of
    a fifth (above 16,384 of a twentieth), so another N of about the same size costs no compilation.

    Args:
        reward: As for `PolicyGradientLoss`.
        y_true: Whole numbers `[N]` from 0 to K - 1, or 0/1 columns `[N, L]` (multi-label).
        logits: Log-odds of the positive class `[N]`, log-odds of K classes `[N, K]`, or of each
            of L label columns `[N, L]` where `y_true` has columns too.
        sample_weight: `[N]`, not negative; an example of weight 2 counts twice, with one label.
        gradient_estimator: As for `PolicyGradientLoss`.
        seed: Of estimators that draw label sets.

    Returns:
        An `ExpectedReward`: value, gradient, hessian_diagonal.

    Raises:
        ValueError: Shapes do not fit, a label lies outside the classes, a logit or weight is not
            finite, a weight is negative, or all are zero.

    >>> import policygrad_metrics as pgm
    >>> value, gradient, hessian = pgm.expected_reward("accuracy", [1, 0], [0.0, 2.0])
    >>> round(value, 4), gradient.round(4).tolist()
    (0.3096, [0.125, -0.0525])
    """
    problem = _Problem.read(y_true, logits, sample_weight)
    scored = reward_of_sites(get_reward(reward), problem.multilabel)
    if scored.ranks:
        raise TypeError(
            f"reward {scored.name!r} scores a ranking, of which there is no such Hessian. Call an "
            "estimator: pgm.estimators.ExactExpectation()(scores, reward, y_true)."
        )
    N, C, K = problem.logits.shape
    if gradient_estimator == "auto":
        sites = N * C if sample_weight is None else None
        estimator = strongest_estimator(scored, K, multilabel_columns=C, unweighted_sites=sites)
    else:
        estimator = get_estimator(gradient_estimator)
    # Rows of weight 0 fill the batch up, but where counts have a distribution of their own.
    size = N if isinstance(estimator, PoissonBinomial) else _size_class(N)
    weighted = sample_weight is not None
    program = _program(scored, estimator, problem.multilabel, weighted, size > N and not weighted)
    # In float64: a large logit would lose its digits to float32.
    logits = problem.logits - _highest(problem.logits)
    arrays = (_filled(x, size) for x in (problem.y_true, logits, problem.weight))
    value, *derivatives = program(*arrays, np.array([seed, 0], np.int32))
    gradient, hessian = (x.numpy()[:N].astype(np.float64) for x in derivatives)
    return ExpectedReward(float(value), problem.shaped(gradient), problem.shaped(hessian))


class _Problem(NamedTuple):
    """Arrays in canonical shape: labels `[N, C]`, logits `[N, C, K]` and weights `[N, C]`."""

    y_true: np.ndarray
    logits: np.ndarray
    weight: np.ndarray
    multilabel: bool
    positive: bool

    @classmethod
    def read(cls, y_true, logits, sample_weight):
        y, scores = np.asarray(y_true), np.asarray(logits, np.float64)
        if scores.ndim not in (1, 2) or y.ndim not in (1, scores.ndim) or len(y) != len(scores):
            raise ValueError(
                "logits must have shape [N], [N, K] or [N, L] and y_true [N] or, with label "
                f"columns, [N, L]; they have shapes {scores.shape} and {y.shape}."
            )
        multilabel, positive = y.ndim == 2, y.ndim == scores.ndim
        if multilabel and y.shape != scores.shape:
            raise ValueError(
                f"y_true of shape {y.shape} has other columns than logits of shape {scores.shape}."
            )
        if positive:
            scores = np.stack([np.zeros_like(scores), scores], axis=-1)
        if scores.ndim == 2:
            scores = scores[:, None]
        K = scores.shape[-1]
        labels = y.reshape(len(y), -1)
        fine = (labels >= 0) & (labels < K) & (labels == np.rint(labels))
        if K < 2 or not fine.all():
            raise ValueError(
                f"y_true must hold whole numbers from 0 to {K - 1} (the logits have K={K} "
                f"classes, of which there must be two); it holds {labels[~fine][:8].tolist()}."
            )
        if not np.isfinite(scores).all():
            raise ValueError("logits must be finite; some are NaN or infinite.")
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        if weight.shape != (len(y),):
            raise ValueError(
                f"sample_weight must have shape ({len(y)},), one weight for each example; it has "
                f"shape {weight.shape}."
            )
        if not (np.isfinite(weight).all() and (weight >= 0.0).all() and weight.any()):
            raise ValueError("sample_weight must be finite, not negative and not zero everywhere.")
        weight = np.broadcast_to(weight[:, None], labels.shape)
        return cls(labels.astype(np.int32), scores, weight, multilabel, positive)

    def shaped(self, x: np.ndarray) -> np.ndarray:
        """Take `[N, C, K]` to the shape of the logits as they came."""
        x = x[..., 1] if self.positive else x
        return x if self.multilabel else x[:, 0]


def _size_class(rows: int) -> int:
    """The least multiple, not below `rows`, of a quarter to an eighth of it; if many, of a 32nd.

    >>> [_size_class(rows) for rows in (2, 8, 9, 1000, 100_000)]
    [4, 8, 10, 1024, 102400]
    """
    steps = 3 if rows <= 2**14 else 5
    unit = 2 ** max(max(rows - 1, 1).bit_length() - steps, 0)
    return max(4, -(-rows // unit)) * unit


def _highest(logits: np.ndarray) -> np.ndarray:
    """`logits.max(axis=-1, keepdims=True)`, column by column: K is small, NumPy's rows are slow."""
    highest = logits[..., 0].copy()
    for k in range(1, logits.shape[-1]):
        np.maximum(highest, logits[..., k], out=highest)
    return highest[..., None]


def _filled(x: np.ndarray, size: int) -> np.ndarray:
    """Rows of zeros up to `size`, as int32 or float32."""
    filled = np.zeros((size, *x.shape[1:]), np.int32 if x.dtype == np.int32 else np.float32)
    filled[: len(x)] = x
    return filled


@kept
def _program(
    reward: Reward, estimator: Estimator, multilabel: bool, weighted: bool, filled: bool
) -> Any:
    """A compiled function of labels, logits, weights and seed; of each shape once."""
    kind = {"weighted": weighted or filled, "filled": filled, "multilabel": multilabel}

    @tf.function(autograph=False, jit_compile=not reward.calls_python)
    def program(y_true, logits, weight, seed):
        batch = Batch(y_true, weight, logits.shape[-1], logits=logits, **kind)
        state = tuple(map(tf.convert_to_tensor, estimator.initial_state()))
        seed = seed if estimator.stochastic else None
        estimate = estimator.of_batch(batch, reward, seed=seed, state=state)
        hessian = (1.0 - 2.0 * tf.nn.softmax(logits)) * estimate.gradient
        return estimate.value, estimate.gradient, hessian

    return program
