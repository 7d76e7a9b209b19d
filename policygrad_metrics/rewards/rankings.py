"""What a reward of a ranking is: a score of scores, as scikit-learn's metrics of scores are.

A ranking puts the items of a list in an order. Scores say which: the highest first. So a reward of
rankings is a function of truth and scores, and a sampled ranking is a list of noisy scores.

A list is the whole batch (outputs `[B, 1]`) or a row of it (outputs `[B, L]`, one for each query).
Items of weight 0 are not in their list. The reward of several lists is the mean of theirs.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.rewards.base import Reward
from policygrad_metrics.rewards.bound import BoundReward
from policygrad_metrics.rewards.python_calls import Calls, call_checked


@dataclasses.dataclass(frozen=True)
class Ranking(Reward):
    """A score of rankings against the truth; larger is better."""

    ranks: ClassVar[bool] = True
    #: Whether the truth may be grades, 0 or more; otherwise it is 0 or 1.
    graded = False
    #: Whether its expectation is known for weights that differ within a list, too.
    exact_of_weights = True
    #: Whether an item of weight 2 is to it what two items of equal scores are.
    weight_repeats = False

    @property
    def aggregation(self):
        return "scores"

    def __call__(self, y_true: Any, y_score: Any, sample_weight: Any = None) -> float:  # type: ignore[override]
        """Score scores; of equal ones as scikit-learn does.

        Args:
            y_true: `[N]` or, of several lists, `[lists, L]`.
            y_score: of the same shape; the highest comes first.
            sample_weight: `[N]`; `[lists]` or `[lists, L]`, where 0 is an item that is not there.

        Returns:
            The score of the list, or the mean over lists, each with the mean weight of its items.

        Raises:
            ValueError: shapes do not belong together, the truth is not what the reward reads, a
                weight is negative or a score NaN.

        >>> import policygrad_metrics as pgm
        >>> pgm.get_reward("average_precision")([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
        0.8333333333333333
        """
        return mean_of_lists(*self.sum_of_lists(*self.read(y_true, y_score, sample_weight)))

    def read(self, y_true: Any, y_score: Any, sample_weight: Any) -> tuple[np.ndarray, ...]:
        """Truth, scores and weights as float64 `[lists, L]`; arguments and errors as for a call."""
        y, s = (np.asarray(x, np.float64) for x in (y_true, y_score))
        if y.shape != s.shape or y.ndim not in (1, 2):
            raise ValueError(
                f"y_true and y_score must both have shape [N] or [lists, L], one score for each "
                f"item; they have shapes {y.shape} and {s.shape}."
            )
        w = np.ones_like(y) if sample_weight is None else np.asarray(sample_weight, np.float64)
        w = w[:, None] if w.ndim < y.ndim and len(w) == len(y) else w
        if w.shape not in (y.shape, (*y.shape[:1], 1)):
            raise ValueError(
                f"sample_weight must have one value for each item, shape {y.shape}, or for each "
                f"list; it has shape {w.shape}."
            )
        w = np.broadcast_to(w, y.shape)
        if not (np.isfinite(w).all() and (w >= 0.0).all()):
            raise ValueError("sample_weight must be finite and not negative.")
        there = w > 0.0
        self.check_truth(y[there])
        if np.isnan(s[there]).any():
            raise ValueError("y_score must hold numbers; it holds NaN.")
        return tuple(np.atleast_2d(x) for x in (y, s, w))

    def check_truth(self, y_true: np.ndarray) -> None:
        """Raise a ValueError unless all of these are what the reward reads."""
        fine = np.isfinite(y_true) & (y_true >= 0.0)
        if not self.graded:
            fine &= (y_true == 0.0) | (y_true == 1.0)
        if not fine.all():
            raise ValueError(
                f"y_true of reward {self.name!r} must hold {truth_in_words(self.graded)}; it holds "
                f"{y_true[~fine][:8].tolist()}."
            )

    def sum_of_lists(self, y: np.ndarray, s: np.ndarray, w: np.ndarray) -> tuple[float, float]:
        """The sum over lists of (weight of the list) * (its score), and that of the weights."""
        total = np.zeros(2)
        for truth, scores, weight in zip(y, s, w, strict=True):
            there = weight > 0.0
            if there.any():
                mean = weight[there].mean()
                score = self.of_scores(truth[there], scores[there], weight[there] / mean)
                total += mean * score, mean
        return float(total[0]), float(total[1])

    @abc.abstractmethod
    def of_scores(self, y: np.ndarray, s: np.ndarray, w: np.ndarray) -> float:
        """The score of one list, float64 `[n]` each, whose weights are positive and 1 on average.

        Equal scores are treated as scikit-learn's twin treats them.
        """

    @abc.abstractmethod
    def of_order(self, y: Tensor, w: Tensor) -> Tensor:
        """The score `[...]` of lists in their order, `[..., L]`; items of weight 0 come last."""

    def bind(self, batch):
        return Orders(self, batch.y_true, *of_lists(batch.weight), batch.weighted)

    def get_config(self):
        """The constructor's arguments as plain values; a ranking has no label columns."""
        return {key: value for key, value in super().get_config().items() if key != "multilabel"}


def truth_in_words(graded: bool) -> str:
    """What a ranking reads in the truth, for errors."""
    return "grades, finite numbers of 0 or more" if graded else "0 and 1"


def weights_alike(weight: Any) -> Any:
    """Whether the weights `[lists, L]` of each list are 0 or equal, a numpy array or a tensor.

    >>> bool(weights_alike([[2.0, 2.0, 0.0], [1.0, 0.0, 1.0]])), bool(weights_alike([[1.0, 2.0]]))
    (True, False)
    """
    weight = of_lists(tf.convert_to_tensor(weight))[0]
    return tf.reduce_all((weight == 0.0) | (tf.abs(weight - 1.0) < 1e-5))


def unequal_weights(reward: Ranking) -> str:
    """The error of weights that differ, where the expectation is known for equal ones alone."""
    return (
        f"{reward.name} has an exact expectation for weights that are 0 or equal within a list; "
        'use gradient_estimator="reinforce" for others.'
    )


def mean_of_lists(total: float, weight: float) -> float:
    """The mean over lists, 0 without any."""
    return total / weight if weight > 0.0 else 0.0


def of_lists(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The weights `[lists, L]`, 1 on average in each list, and each list's share `[lists]`.

    >>> weight, share = of_lists(tf.constant([[2.0, 6.0, 0.0], [1.0, 1.0, 1.0]]))
    >>> weight.numpy().tolist(), share.numpy().tolist()
    ([[0.5, 1.5, 0.0], [1.0, 1.0, 1.0]], [0.800..., 0.200...])
    """
    there = tf.reduce_sum(tf.cast(weight > 0.0, weight.dtype), axis=-1)
    mean = tf.math.divide_no_nan(tf.reduce_sum(weight, axis=-1), there)
    share = tf.math.divide_no_nan(mean, tf.reduce_sum(mean))
    return tf.math.divide_no_nan(weight, mean[:, None]), share


@dataclasses.dataclass(frozen=True)
class Orders(BoundReward):
    """A ranking's reward of one batch, as a function of orders.

    Args:
        reward: the reward.
        y_true: float32 `[lists, L]`.
        weight: float32 `[lists, L]`, 1 on average in each list; 0 for items that are not there.
        share: float32 `[lists]`, what each list counts; they add up to 1.
        weighted: whether weights were given.
    """

    reward: Any
    y_true: Tensor
    weight: Tensor
    share: Tensor
    weighted: bool
    has_marginal_rewards = False

    def score(self, samples):
        """Rewards `[S]` of noisy scores `[S, lists, L]`."""
        last = tf.where(self.weight > 0.0, samples, samples.dtype.min)
        order = tf.argsort(last, axis=-1, direction="DESCENDING", stable=True)
        y, w = (
            tf.gather(tf.broadcast_to(x, tf.shape(samples)), order, axis=-1, batch_dims=2)
            for x in (self.y_true, self.weight)
        )
        return tf.reduce_sum(self.share * self.reward.of_order(y, w), axis=-1)


@dataclasses.dataclass(frozen=True)
class CalledOrders(BoundReward):
    """The same of a function of which nothing is known but its values.

    Args:
        orders: truth and weights.
    """

    orders: Orders
    has_marginal_rewards = False

    def score(self, samples):
        return self.orders.score(samples)


@dataclasses.dataclass(frozen=True)
class RankingReward(Ranking):
    """Any Python function of truth and scores, scikit-learn's metrics of scores included.

    It is called once for each list of each sampled ranking, with noisy scores whose order is that
    ranking, and never differentiated: its gradient is REINFORCE's. XLA cannot compile it.

    Args:
        function: `f(y_true, y_score) -> float`, larger is better, of one list, numpy arrays `[n]`.
            If weights are given, items of weight 0 are left out, and if the others' differ it is
            called with `sample_weight=` as well.
        label: name shown in logs.
        graded: whether the truth may be grades instead of 0 and 1.

    >>> from sklearn.metrics import label_ranking_average_precision_score
    >>> reward = RankingReward(lambda y, s: label_ranking_average_precision_score([y], [s]))
    >>> float(reward([0, 1, 1], [0.1, 0.9, 0.8]))
    1.0
    """

    function: Callable[..., float]
    label: str = ""
    graded: bool = False
    calls_python = True

    def __post_init__(self):
        if not callable(self.function):
            raise TypeError(
                f"function must be a function f(y_true, y_score) -> float; it is {self.function!r}."
            )

    @property
    def name(self):
        return self.label or getattr(self.function, "__name__", "ranking_reward")

    def of_scores(self, y, s, w):
        weights = () if np.ptp(w) < 1e-6 else (w,)
        if weights and not Calls(self.function, self.name).takes_weight:
            raise ValueError(
                f"the function of reward {self.name!r} takes no sample_weight=, and the items of a "
                "list differ in their weights. Give the function a sample_weight argument."
            )
        return call_checked(self.function, self.name, (y, s, *weights))

    def of_order(self, y, w):
        def evaluate(y, w):
            scores = -np.arange(y.shape[-1], dtype=np.float64)
            values = np.zeros(y.shape[:-1], np.float32)
            for place in np.ndindex(*values.shape):
                there = w[place] > 0.0
                if there.any():
                    values[place] = self.of_scores(y[place][there], scores[there], w[place][there])
            return values

        return tf.ensure_shape(tf.numpy_function(evaluate, [y, w], tf.float32), y.shape[:-1])

    def bind(self, batch):
        bound: Any = super().bind(batch)
        return CalledOrders(bound)
