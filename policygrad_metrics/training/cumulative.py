"""Networks whose levels are read off thresholds on one hidden scale (floor 4)."""

from __future__ import annotations

import dataclasses

import keras

from policygrad_metrics.policies import CumulativeLink
from policygrad_metrics.training.network import Network


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class LevelLogProbabilities(keras.layers.Layer):
    """The log probabilities `[N, K]` that a cumulative link reads off `[N, K-1]` outputs.

    They are their own log-odds, so that a loss of a softmax network trains them unchanged.

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
