"""The true gradient that estimators are measured against."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from policygrad_metrics.estimators import (
    Enumerate,
    Estimator,
    LocalExpectation,
    strongest_estimator,
)

#: The reference where nothing exact is known: label sets in a draw, and draws.
_SETS, _DRAWS = 64, 128


@dataclasses.dataclass(frozen=True)
class Truth:
    """The gradient, shaped like the logits, float64.

    Args:
        gradient: of E[R].
        value: E[R], None if not known.
        name: where it comes from.
        error: its own relative mean squared error if it was sampled, else None.
    """

    gradient: np.ndarray
    value: float | None
    name: str
    error: float | None = None


def find_truth(truth: Any, batch: Any, seed: int) -> Truth:
    """The truth that was asked for, or for "auto" the best that there is.

    Args:
        truth: "auto", an `Estimator` or an array.
        batch: with `estimate(estimator, seed, state)`, `logits`, `labels` and `reward`.
        seed: of a sampled truth.

    Raises:
        ValueError: an array that is not shaped like the logits.
        TypeError: nothing is known for this reward at this size.
    """
    if isinstance(truth, Estimator):
        return _estimated(batch, truth, type(truth).__name__, [seed, 1])
    if not isinstance(truth, str):
        gradient = _float64(tf.convert_to_tensor(truth))
        if gradient.shape != tuple(batch.logits.shape):
            raise ValueError(
                f"truth must be a gradient shaped like the logits, {tuple(batch.logits.shape)}; "
                f"it has shape {gradient.shape}."
            )
        return Truth(gradient, None, "given")
    if truth != "auto":
        raise ValueError(f'truth must be "auto", an Estimator or a gradient; it is {truth!r}.')
    sites, K = int(np.prod(batch.labels.shape)), batch.logits.shape[-1]
    columns = batch.labels.shape[-1] if batch.reward.multilabel else 1
    strongest = strongest_estimator(
        batch.reward,
        K,
        multilabel_columns=columns,
        unweighted_sites=sites if batch.weight is None else None,
    )
    if not strongest.stochastic:
        return _estimated(batch, strongest, "exact")
    if sites * math.log(K) <= math.log(Enumerate().budget):
        return _estimated(batch, Enumerate(), "enumerate")
    if isinstance(strongest, LocalExpectation):
        return _sampled(batch, LocalExpectation(_SETS), seed)
    raise TypeError(
        f"the true gradient of the black box {batch.reward.name!r} is not known for {sites} sites "
        f"and K={K} classes. Measure a batch of up to {int(math.log(65536) / math.log(K))} sites, "
        "write the reward as a CountReward, or pass truth= an Estimator or a gradient."
    )


def _estimated(batch, estimator, name, seed=None):
    estimate = batch.estimate(estimator, seed, estimator.initial_state())
    return Truth(_float64(estimate.gradient), float(estimate.value), name)


def _sampled(batch, estimator, seed):
    run = tf.function(lambda key: batch.estimate(estimator, key, ())[:2], autograph=False)
    drawn = [run(tf.constant([seed + 3, draw])) for draw in range(_DRAWS)]
    gradients = np.stack([_float64(gradient) for _, gradient in drawn])
    mean = gradients.mean(axis=0)
    spread = float(gradients.var(axis=0, ddof=1).sum()) / _DRAWS
    return Truth(
        mean,
        float(np.mean([value for value, _ in drawn])),
        f"local expectation, {_SETS * _DRAWS} label sets",
        spread / max(float((mean**2).sum()), 1e-300),
    )


def _float64(gradient):
    return gradient.numpy().astype(np.float64)
