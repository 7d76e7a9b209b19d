"""What an estimator is: the expected reward and its gradient with respect to logits.

With p_i = softmax(logits_i) and Q[i, c] = E[R | a_i = c],

    dJ/dlogits[i, c] = p_i[c] (Q[i, c] - sum_k p_i[k] Q[i, k])

Every estimator is a way to get Q, or the product itself from sampled label sets (Williams 1992).
Value and gradient are returned together; nothing here is differentiated by TensorFlow.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.sites import Batch, Tensor, canonical_batch, flatten_sites
from policygrad_metrics.rewards.base import Reward
from policygrad_metrics.rewards.forms import Form


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What an estimator returns.

    Args:
        value: scalar, an estimate of E[R].
        gradient: of E[R] with respect to the logits, shaped like them.
        state: what the estimator wants back at its next call; `()` for most.
    """

    value: Tensor
    gradient: Tensor
    state: tuple[Tensor, ...] = ()


@dataclasses.dataclass(frozen=True)
class Problem:
    """One batch's policy and reward in canonical shape.

    Args:
        probs: float32 `[N, C, K]`, the policy.
        form: the reward of the batch.
        reward: where the form comes from, for messages.
        batch: truth and weights, for estimators that score other rewards beside this one.
    """

    probs: Tensor
    form: Form
    reward: Reward
    batch: Batch


def policy_gradient(probs: Tensor, effects: Tensor) -> Tensor:
    """`p (Q - sum_k p_k Q_k)`, `[N, C, K]`, for effects Q known up to a constant per site.

    The effect of the likeliest class is taken as zero, so that the gradient of a site that is
    all but decided keeps its relative precision.

    >>> policy_gradient(tf.constant([0.5, 0.5]), tf.constant([1.0, 0.0])).numpy().tolist()
    [0.25, -0.25]
    """
    likeliest = probs >= tf.reduce_max(probs, axis=-1, keepdims=True)
    reference = tf.where(likeliest, effects, effects.dtype.min)
    effects = effects - tf.reduce_max(reference, axis=-1, keepdims=True)
    return probs * (effects - _sum_over_choices(probs * effects))


def _sum_over_choices(x):
    """Sum `[..., K]` to `[..., 1]`; of many slices come first: XLA is slow with long axes."""
    K = x.shape[-1]
    if K <= 32:
        return tf.reduce_sum(x, axis=-1, keepdims=True)
    width = K // -(-K // 32)
    slices = [x[..., k : k + width] for k in range(0, K, width)]
    whole = [part for part in slices if part.shape[-1] == width]
    total = tf.reduce_sum(tf.add_n(whole), axis=-1, keepdims=True)
    return total if len(whole) == len(slices) else total + tf.reduce_sum(slices[-1], -1, True)


class Estimator(abc.ABC):
    """Estimates E[R] and its gradient; subclasses are frozen dataclasses of their settings."""

    #: Whether `seed` is needed.
    stochastic = True
    #: Whether the mean over draws is the gradient of E[R] itself.
    unbiased = True

    # No tensor decides what Python does here, and to find that out costs AutoGraph seconds.
    @tf.autograph.experimental.do_not_convert
    def __call__(
        self,
        logits: Any,
        reward: Reward,
        y_true: Any,
        *,
        sample_weight: Any = None,
        seed: Any = None,
        state: tuple[Tensor, ...] = (),
    ) -> Estimate:
        """Estimate E[R] and its gradient with respect to the logits.

        Args:
            logits: float `[*sites, K]`.
            reward: a `Reward`; its `multilabel` says if the last site axis holds columns.
            y_true: int `[*sites]`.
            sample_weight: `[B]` or `[*sites]`; weight 2 counts as the example twice.
            seed: an int or two int32 numbers; needed by sampling estimators. The same seed
                gives the same draws in eager, graph and XLA mode.
            state: the `state` of the previous `Estimate`.

        Returns:
            An `Estimate`: value `[]`, gradient shaped like the logits.

        Raises:
            ValueError: shapes or labels do not fit, or the seed is missing.
            TypeError: this estimator cannot serve the reward; the message says which can.
        """
        problem = self._problem(logits, reward, y_true, sample_weight)
        if self.stochastic and seed is None:
            raise ValueError(
                f"{type(self).__name__} draws label sets and needs seed=, an int or two int32 "
                "numbers."
            )
        return self._restore(self.estimate(problem, seed=seed, state=state), logits)

    @abc.abstractmethod
    def estimate(self, problem: Problem, *, seed: Any, state: tuple[Tensor, ...]) -> Estimate:
        """The estimate in canonical shape."""

    def check(self, problem: Problem) -> None:
        """Raise a TypeError if this estimator cannot serve the reward."""
        del problem  # AutoGraph cannot read a function of nothing but a docstring

    def initial_state(self) -> tuple[Any, ...]:
        """The state before the first call, as plain numbers."""
        return ()

    def _problem(self, logits, reward, y_true, sample_weight):
        batch = canonical_batch(logits, y_true, sample_weight, reward.multilabel)
        form = reward.form(batch.y_true, batch.weight, batch.num_classes, batch.weighted)
        problem = Problem(tf.nn.softmax(batch.logits), form, reward, batch)
        self.check(problem)
        return problem

    def _restore(self, estimate, logits):
        shape = tf.shape(tf.convert_to_tensor(logits))
        return dataclasses.replace(estimate, gradient=tf.reshape(estimate.gradient, shape))

    def get_config(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]  # subclasses are dataclasses


class SamplingEstimator(Estimator):
    """An estimator in two halves: draw label sets, then compute from them deterministically."""

    @abc.abstractmethod
    def draw(self, problem: Problem, seed: Any) -> Tensor:
        """Label sets, int32 `[S, N, C]`."""

    @abc.abstractmethod
    def estimate_from(
        self, problem: Problem, labels: Tensor, state: tuple[Tensor, ...]
    ) -> Estimate:
        """The deterministic half in canonical shape."""

    def estimate(self, problem, *, seed, state):
        return self.estimate_from(problem, self.draw(problem, seed), state)

    def from_labels(
        self,
        logits: Any,
        reward: Reward,
        y_true: Any,
        labels: Any,
        *,
        sample_weight: Any = None,
        state: tuple[Tensor, ...] = (),
    ) -> Estimate:
        """The estimate from given label sets, int `[S, *sites]`: testable by enumeration."""
        problem = self._problem(logits, reward, y_true, sample_weight)
        labels = flatten_sites(
            tf.cast(tf.convert_to_tensor(labels), tf.int32), reward.multilabel, lead=1
        )
        return self._restore(self.estimate_from(problem, labels, state), logits)
