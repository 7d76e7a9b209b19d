"""Pathwise gradients through relaxed draws: Gumbel-softmax and straight-through.

With g Gumbel noise, softmax((logits + g) / T) is a relaxed one-hot draw from the policy (the
distribution that TensorFlow Probability calls `RelaxedOneHotCategorical`); its soft counts go into
the score that is nearest to the reward, one draw a step. The gradient is biased: draws are not
one-hot, or are one-hot and differentiated as if they were not (straight-through).

The noise is made of integer bits as everywhere in this package (`draws.py`), so that eager, graph
and XLA mode draw the same, which the library's own float sampler does not.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.draws import as_seed, fold_in, uniforms
from policygrad_metrics.study.methods.base import Choice, Method
from policygrad_metrics.study.methods.surrogate_methods import soft_score
from policygrad_metrics.study.methods.variants import CanonicalLoss, MixedBuild, pure_mixed_warm
from policygrad_metrics.surrogates.soft_counts import SCORES, score_loss


def relaxed_one_hot(logits: Tensor, temperature: Any, seed: Tensor) -> Tensor:
    """A relaxed one-hot draw `softmax((logits + g) / temperature)`, shaped like the logits.

    Maddison, Mnih, Teh 2017, "The concrete distribution"; Jang, Gu, Poole 2017,
    "Categorical reparameterization with Gumbel-softmax".

    Args:
        logits: float32 `[..., K]`.
        temperature: above 0; towards 0 the draws become one-hot.
        seed: int32 `[2]`.

    >>> draw = relaxed_one_hot(tf.zeros([2, 3]), 0.5, as_seed(1))
    >>> print(tf.reduce_sum(draw, axis=-1).numpy().round(4))
    [1. 1.]
    """
    noise = -tf.math.log(-tf.math.log(uniforms(seed, tf.shape(logits))))
    noise = tf.ensure_shape(noise, logits.shape)
    return tf.nn.softmax((logits + noise) / tf.cast(temperature, logits.dtype))


def straight_through(logits: Tensor, temperature: Any, seed: Tensor) -> Tensor:
    """The one-hot of a relaxed draw's largest entry, with the relaxed draw's gradient.

    Bengio, Leonard, Courville 2013, "Estimating or propagating gradients"; Jang 2017.

    Args:
        logits: as for `relaxed_one_hot`.
        temperature: as for `relaxed_one_hot`; of the gradient only.
        seed: int32 `[2]`.

    >>> draw = straight_through(tf.zeros([2, 3]), 1.0, as_seed(1))
    >>> print(tf.sort(draw, axis=-1).numpy().round(4)[0])
    [0. 0. 1.]
    """
    relaxed = relaxed_one_hot(logits, temperature, seed)
    hard = tf.one_hot(tf.argmax(relaxed, axis=-1), logits.shape[-1], dtype=logits.dtype)
    return relaxed + tf.stop_gradient(hard - relaxed)


def _sampled(draw: Any) -> MixedBuild:
    def build(info, hyper, mixed_in):
        score, average = SCORES[soft_score(info)], info.average

        def loss(logits, y_true, weight):
            seed = fold_in(as_seed(0), tf.stop_gradient(logits))

            def soft_label(logits):
                return draw(logits, hyper["temperature"], seed)

            return score_loss(logits, y_true, weight, average, soft_label, score)

        return CanonicalLoss(info, loss, mixed_in)

    return build


def _rows(name: str, summary: str, paper: str, draw: Any) -> list[Method]:
    temperature = Choice(1.0, 0.1, 2.0, log=True)
    return pure_mixed_warm(
        _sampled(draw), name, summary, "relaxation", paper, temperature=temperature
    )


ROWS: list[Method] = [
    *_rows(
        "straight_through",
        "score of sampled labels, differentiated as if they were soft",
        "Bengio, Leonard, Courville 2013; Jang, Gu, Poole 2017",
        straight_through,
    ),
    *_rows(
        "relaxed_one_hot",
        "score of soft counts of Gumbel-softmax draws",
        "Maddison, Mnih, Teh 2017, The concrete distribution; Jang, Gu, Poole 2017",
        relaxed_one_hot,
    ),
]
