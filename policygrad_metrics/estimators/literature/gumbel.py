"""Relaxed draws: labels as the largest of Gumbel-perturbed logits.

With G Gumbel noise, a = argmax(log p + G) is a draw from the policy and x = softmax((log p + G) /
temperature) a relaxed one (Maddison, Mnih & Teh 2017; Jang, Gu & Poole 2017). Here the label is
drawn first and the perturbed logits z given the label, which is the same in distribution: then
what follows is a function of labels, which can be enumerated, and of uniforms.
"""

from __future__ import annotations

import abc
import dataclasses

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.draws import as_seed, independent_labels, uniforms
from policygrad_metrics.estimators.base import Estimate, Estimator, Problem
from policygrad_metrics.estimators.literature.base import check_samples


def perturbed_logits(probs: Tensor, chosen: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Perturbed logits z given the label that is largest, and how they depend on the policy.

        z_a = -log E_a,    z_c = -log(E_c / p_c + E_a)  for c other than a,    E = -log(uniform)

    (Tucker et al. 2017, appendix; Maddison, Tarlow & Minka 2014.)

    Args:
        probs: `[N, C, K]`.
        chosen: one-hot labels, `[S, N, C, K]`.
        uniform: `[S, N, C, K]`.

    Returns:
        `(z, dz/dlog p)`, both `[S, N, C, K]`; the derivative is diagonal, with the uniforms held.
    """
    exponential = -tf.math.log(uniform)
    top = tf.reduce_sum(chosen * exponential, axis=-1, keepdims=True)
    rest = (1.0 - chosen) * exponential / tf.maximum(probs, 1e-20)
    return -tf.math.log(rest + top), rest / (rest + top)


@dataclasses.dataclass(frozen=True)
class RelaxedEstimator(Estimator):
    """An estimator from S labels and uniforms that perturb the logits around them."""

    samples: int = 16

    #: Uniforms of each site and class that one sample needs.
    noises = 1

    def __post_init__(self):
        check_samples(self.samples)

    @abc.abstractmethod
    def terms(
        self, problem: Problem, samples: Tensor, uniform: Tensor, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """The deterministic half, sample by sample.

        Args:
            problem: the batch.
            samples: int32 `[S, N, C]`.
            uniform: `[noises, S, N, C, K]`.
            state: what has been learned.

        Returns:
            Values `[S]` and gradients with respect to the logits `[S, N, C, K]`.
        """

    def noise(self, problem: Problem, seed: Tensor) -> tuple[Tensor, Tensor]:
        """Labels and uniforms from one seed."""
        samples = independent_labels(problem.probs, self.samples, seed)
        shape = tf.concat([[self.noises, self.samples], tf.shape(problem.batch.logits)], axis=0)
        uniform = uniforms(as_seed(seed) + tf.constant([0, 0x5BD1E995], tf.int32), shape)
        return samples, tf.ensure_shape(
            uniform, [self.noises, self.samples, *problem.batch.logits.shape]
        )

    def estimate(self, problem, *, seed, state):
        values, gradients = self.terms(problem, *self.noise(problem, seed), state)
        return Estimate(tf.reduce_mean(values), tf.reduce_mean(gradients, axis=0))
