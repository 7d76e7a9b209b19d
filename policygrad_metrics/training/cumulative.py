"""A layer that reads levels off thresholds on one hidden scale."""

from __future__ import annotations

import keras

from policygrad_metrics.policies import CumulativeLink


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
