"""Pathwise gradients: Gumbel-softmax and straight-through Gumbel-softmax."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.estimators.base import Problem, policy_gradient
from policygrad_metrics.estimators.literature.base import (
    need_soft_score,
    soft_slope,
)
from policygrad_metrics.estimators.literature.gumbel import RelaxedEstimator, perturbed_logits


def check_temperature(temperature: float) -> None:
    """Raise unless the temperature is above 0.

    Raises:
        ValueError: it is not.
    """
    if not 0.0 < temperature < float("inf"):
        raise ValueError(f"temperature must be a finite number above 0; it is {temperature!r}.")


@dataclasses.dataclass(frozen=True)
class GumbelSoftmax(RelaxedEstimator):
    """The soft score at relaxed draws x = softmax(z / T), differentiated through the draw.

        gradient = 1/S sum_s d f(x_s) / dlogits,    z = log p + Gumbel noise

    with f the reward's score of soft labels. Biased: x is not one-hot, so another reward is
    climbed; less so at a lower temperature T, where the variance grows instead. Jang, Gu & Poole
    2017, "Categorical reparameterization with Gumbel-softmax"; Maddison, Mnih & Teh 2017, "The
    concrete distribution". Cost: S forward and backward passes of the soft score.

    Args:
        samples: S.
        temperature: T, above 0.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("gumbel_softmax", samples=4, temperature=0.5)
    >>> estimator(tf.zeros([3, 2]), pgm.get_reward("f1"), [0, 1, 1], seed=1).gradient.shape[1]
    2
    """

    temperature: float = 1.0

    unbiased = False

    def __post_init__(self):
        super().__post_init__()
        check_temperature(self.temperature)

    def check(self, problem):
        need_soft_score("gumbel_softmax", problem)

    def terms(self, problem, samples, uniform, state):
        chosen = tf.one_hot(samples, problem.batch.logits.shape[-1])
        relaxed = self.relax(problem, chosen, uniform[0])
        scores, slope = soft_slope(problem.bound, relaxed)
        return scores, policy_gradient(relaxed, slope) / self.temperature

    def relax(self, problem: Problem, chosen: Tensor, uniform: Tensor) -> Tensor:
        """Relaxed draws `[S, N, C, K]` around one-hot labels."""
        perturbed, _ = perturbed_logits(problem.probs, chosen, uniform)
        return tf.nn.softmax(perturbed / self.temperature)


@dataclasses.dataclass(frozen=True)
class StraightThroughGumbel(GumbelSoftmax):
    """Straight-through Gumbel-softmax, Rao-Blackwellised over M relaxed draws of each label set.

        gradient = 1/(S M) sum_s sum_m f'(one_hot(a_s)) . d softmax(z_sm / T) / dlogits

    with z_sm perturbed logits whose largest is a_s. M = 1 is Jang, Gu & Poole 2017; M > 1 keeps
    its mean and lowers its variance: Paulus, Maddison & Krause 2021, "Rao-Blackwellizing the
    straight-through Gumbel-softmax gradient estimator". Biased: hard labels are differentiated as
    if they were relaxed. Cost: S forward and backward passes of the soft score, whatever M is.

    Args:
        samples: S.
        temperature: T, above 0.
        relaxations: M.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("rao_blackwell_straight_through", relaxations=10)
    >>> estimator(tf.zeros([3, 2]), pgm.get_reward("f1"), [0, 1, 1], seed=1).gradient.shape[1]
    2
    """

    relaxations: int = 10

    def __post_init__(self):
        super().__post_init__()
        if self.relaxations < 1 or int(self.relaxations) != self.relaxations:
            raise ValueError(
                f"relaxations must be a positive whole number; it is {self.relaxations}."
            )

    @property
    def noises(self) -> int:
        return self.relaxations

    def check(self, problem):
        need_soft_score("rao_blackwell_straight_through", problem)

    def terms(self, problem, samples, uniform, state):
        chosen = tf.one_hot(samples, problem.batch.logits.shape[-1])
        scores, slope = soft_slope(problem.bound, chosen)
        relaxed = self.relax(problem, chosen, uniform)
        gradients = policy_gradient(relaxed, tf.broadcast_to(slope, tf.shape(relaxed)))
        return scores, tf.reduce_mean(gradients, axis=0) / self.temperature
