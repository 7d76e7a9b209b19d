"""What an estimator is: the expected reward and its gradient with respect to logits.

With p_i = softmax(logits_i) and Q[i, c] = E[R | a_i = c],

    dJ/dlogits[i, c] = p_i[c] (Q[i, c] - sum_k p_i[k] Q[i, k])

Every estimator is a way to get Q, or the product itself from sampled label sets (Williams 1992).
Value and gradient are returned together; nothing here is differentiated by TensorFlow.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf

from policygrad_metrics.core.batch import Batch, Tensor, canonical_batch, flatten_sites, softmax
from policygrad_metrics.policies import PlackettLuce
from policygrad_metrics.policies.reading import Reading, read_batch
from policygrad_metrics.rewards import Reward, get_reward
from policygrad_metrics.rewards.bound import BoundReward


class Estimate(NamedTuple):
    """What an estimator returns; a `tf.function` can return it too.

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
    """A batch and the reward that is bound to it.

    Args:
        batch: logits, truth and weights.
        reward: the reward.
        bound: the reward of this batch.
    """

    batch: Batch
    reward: Reward
    bound: BoundReward

    @property
    def probs(self) -> Tensor:
        """The policy, float32 `[N, C, K]`."""
        return softmax(self.batch.logits)


def policy_gradient(probs: Tensor, rewards: Tensor) -> Tensor:
    """`p (Q - sum_k p_k Q_k)`, `[N, C, K]`, for marginal rewards Q up to a constant per site.

    The reward of the likeliest class is taken as zero, so that the gradient of a site that is
    all but decided keeps its relative precision.

    >>> policy_gradient(tf.constant([0.5, 0.5]), tf.constant([1.0, 0.0])).numpy().tolist()
    [0.25, -0.25]
    """
    likeliest = probs >= tf.reduce_max(probs, axis=-1, keepdims=True)
    reference = tf.where(likeliest, rewards, rewards.dtype.min)
    rewards = rewards - tf.reduce_max(reference, axis=-1, keepdims=True)
    return probs * (rewards - _sum_over_choices(probs * rewards))


def _sum_over_choices(x):
    """Sum `[..., K]` to `[..., 1]`. A long axis is summed in slices: XLA is slow with long ones."""
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
    #: Whether it knows rankings.
    ranks = False

    # AutoGraph would take seconds to find out that no tensor decides what Python does here.
    @tf.autograph.experimental.do_not_convert
    def __call__(
        self,
        logits: Any,
        reward: str | Reward,
        y_true: Any,
        *,
        sample_weight: Any = None,
        seed: Any = None,
        state: tuple[Tensor, ...] = (),
    ) -> Estimate:
        """Estimate E[R] and its gradient with respect to the logits.

        Args:
            logits: float `[*sites, K]`; scores `[N]` or `[lists, L]` of a ranking.
            reward: a `Reward` or its name; its `multilabel` says if the last site axis holds
                columns.
            y_true: int `[*sites]`.
            sample_weight: `[B]` or `[*sites]`; weight 2 counts as the example twice.
            seed: an int or two int32 numbers; needed by sampling estimators. The same seed
                gives the same draws in eager, graph and XLA mode.
            state: the `state` of the previous `Estimate`.

        Returns:
            An `Estimate`: value `[]`, gradient shaped like the logits.

        Raises:
            ValueError: the reward's name is not known, shapes or labels do not fit, or the seed is
                missing.
            TypeError: this estimator cannot serve the reward; the message says which can.
        """
        reward = get_reward(reward)
        if reward.ranks:
            policy = PlackettLuce(graded=getattr(reward, "graded", True))
            how = Reading(policy, suspect=False)
            batch = read_batch(how, y_true, logits, sample_weight)
        else:
            batch = canonical_batch(logits, y_true, sample_weight, reward.multilabel)
        return _shaped_like(logits, self.of_batch(batch, reward, seed=seed, state=state))

    def of_batch(
        self, batch: Batch, reward: Reward, *, seed: Any = None, state: tuple[Tensor, ...] = ()
    ) -> Estimate:
        """The same of a batch in canonical shape, with a gradient `[N, C, K]`."""
        if self.stochastic and seed is None:
            raise ValueError(
                f"{type(self).__name__} draws label sets and needs seed=, an int or two int32 "
                "numbers."
            )
        return self.estimate(self.problem(batch, reward), seed=seed, state=state)

    def problem(self, batch: Batch, reward: Reward) -> Problem:
        """Bind the reward to the batch, and check that this estimator can serve it."""
        if reward.ranks and not self.ranks:
            raise TypeError(
                f"{type(self).__name__} draws labels, and the reward {reward.name!r} scores a "
                'ranking. Use gradient_estimator="exact" or "reinforce" ("auto" picks one).'
            )
        problem = Problem(batch, reward, reward.bind(batch))
        self.check(problem)
        return problem

    @abc.abstractmethod
    def estimate(self, problem: Problem, *, seed: Any, state: tuple[Tensor, ...]) -> Estimate:
        """The estimate in canonical shape."""

    def check(self, problem: Problem) -> None:
        """Raise a TypeError if this estimator cannot serve the reward."""
        del problem  # AutoGraph cannot read a function of nothing but a docstring

    def initial_state(self) -> tuple[Any, ...]:
        """The state before the first call, as plain numbers."""
        return ()

    def get_config(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]  # subclasses are dataclasses


def _shaped_like(logits, estimate):
    shape = tf.shape(tf.convert_to_tensor(logits))
    return estimate._replace(gradient=tf.reshape(estimate.gradient, shape))


class SamplingEstimator(Estimator):
    """An estimator in two halves: draw label sets, then compute from them deterministically."""

    @abc.abstractmethod
    def draw(self, problem: Problem, seed: Any) -> Tensor:
        """Label sets, int32 `[S, N, C]`."""

    @abc.abstractmethod
    def estimate_from(
        self, problem: Problem, samples: Tensor, state: tuple[Tensor, ...]
    ) -> Estimate:
        """The deterministic half in canonical shape."""

    def estimate(self, problem, *, seed, state):
        return self.estimate_from(problem, self.draw(problem, seed), state)

    def from_samples(
        self,
        logits: Any,
        reward: Reward,
        y_true: Any,
        samples: Any,
        *,
        sample_weight: Any = None,
        state: tuple[Tensor, ...] = (),
    ) -> Estimate:
        """The estimate from given label sets, int `[S, *sites]`: testable by enumeration."""
        batch = canonical_batch(logits, y_true, sample_weight, reward.multilabel)
        samples = tf.cast(tf.convert_to_tensor(samples), tf.int32)
        samples = flatten_sites(samples, reward.multilabel, lead=1)
        estimate = self.estimate_from(self.problem(batch, reward), samples, state)
        return _shaped_like(logits, estimate)
