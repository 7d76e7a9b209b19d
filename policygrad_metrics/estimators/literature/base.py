"""What the estimators of the literature share."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.draws import independent_labels
from policygrad_metrics.core.global_batch import replicas
from policygrad_metrics.estimators.base import Problem, SamplingEstimator
from policygrad_metrics.rewards.bound import BoundReward


def check_samples(samples: Any, least: int = 1, multiple: int = 1) -> None:
    """Raise unless the number of samples is whole, large enough and a multiple.

    Raises:
        ValueError: it is not.

    >>> check_samples(3, multiple=2)
    Traceback (most recent call last):
    ValueError: samples must be a whole number, at least 1 and a multiple of 2; it is 3.
    """
    if samples < least or int(samples) != samples or samples % multiple:
        even = f" and a multiple of {multiple}" if multiple > 1 else ""
        raise ValueError(
            f"samples must be a whole number, at least {least}{even}; it is {samples}."
        )


@dataclasses.dataclass(frozen=True)
class IndependentSamples(SamplingEstimator):
    """An estimator from S independent label sets of the policy."""

    samples: int = 16

    def __post_init__(self):
        check_samples(self.samples)

    def draw(self, problem, seed):
        return independent_labels(problem.probs, self.samples, seed)


def need_marginal_rewards(estimator: str, problem: Problem) -> None:
    """Raise a TypeError if it is not known what one label changes."""
    if not problem.bound.has_marginal_rewards:
        raise TypeError(
            f"estimator {estimator!r} asks what the reward would be with one label changed, which "
            f"is not known of the black box {problem.reward.name!r} short of B * K calls for each "
            'label set. Use gradient_estimator="reinforce", or write the reward as a CountReward.'
        )


def refuse_replicas(estimator: str) -> None:
    """Raise a ValueError for an estimator that learns or draws from one device's examples alone."""
    if replicas() > 1:
        raise ValueError(
            f"estimator {estimator!r} works from one device's examples alone and cannot be used "
            'under a tf.distribute strategy: use gradient_estimator="reinforce".'
        )


def need_soft_score(estimator: str, problem: Problem) -> None:
    """Raise a TypeError if the reward cannot score soft labels."""
    if not problem.bound.has_soft_score:
        raise TypeError(
            f"estimator {estimator!r} differentiates the reward's score of soft labels (expected "
            f"counts put into its formula), which {problem.reward.name!r} does not have. Use "
            'gradient_estimator="reinforce" or "relax", whose control variate is a learned '
            "network, or "
            "write the reward as a CountReward or a RatioReward."
        )


def soft_slope(bound: BoundReward, choices: Tensor) -> tuple[Tensor, Tensor]:
    """The score `[S]` of soft labels `[S, N, C, K]`, and its slope there."""
    with tf.GradientTape() as tape:
        tape.watch(choices)
        scores = bound.soft_score(choices)
    return scores, finite(tape.gradient(scores, choices))


def finite(slope: Tensor) -> Tensor:
    """Zero where there is no slope: at a kink, such as Matthews' root where one class is all."""
    return tf.where(tf.math.is_finite(slope), slope, 0.0)
