"""Levels by a cumulative link: thresholds on one hidden scale, trained by any loss (floor 5).

The network ends in K-1 thresholds, which a last layer turns into the log probabilities of the K
levels. These are their own log-odds, so that a loss of a softmax network trains it unchanged.
"""

from __future__ import annotations

import dataclasses

import keras

from policygrad_metrics.policies import CumulativeLink
from policygrad_metrics.training import Network

#: name -> one line, and the method of the table whose loss trains it.
METHODS = {
    "cumulative_link": ("cross-entropy over levels through a cumulative link", "cross_entropy"),
    "cumulative_link_policy_gradient": (
        "the reward of a cumulative link's levels, plus cross-entropy",
        "policy_gradient",
    ),
}


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class LevelLogProbabilities(keras.layers.Layer):
    """The log probabilities `[N, K]` that a cumulative link reads off `[N, K-1]` outputs.

    >>> layer = LevelLogProbabilities()
    >>> keras.ops.exp(layer(keras.ops.zeros([1, 1]))).numpy().tolist()
    [[0.5, 0.5]]
    """

    def call(self, outputs):
        return CumulativeLink().logits(outputs)


@dataclasses.dataclass(frozen=True)
class CumulativeNetwork:
    """A `Network` of thresholds that ends in level log probabilities.

    >>> CumulativeNetwork(Network((8,))).build(features=3, outputs=6, seed=0).output_shape
    (None, 6)
    """

    network: Network

    def build(self, features: int, outputs: int, seed: int) -> keras.Model:
        """Build the model; equal seeds give equal weights and equal dropout."""
        thresholds = self.network.build(features, outputs - 1, seed)
        return keras.Model(thresholds.inputs, LevelLogProbabilities()(thresholds.output))
