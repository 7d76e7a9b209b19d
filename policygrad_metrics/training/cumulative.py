"""Layers that read levels off fewer outputs than there are levels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from policygrad_metrics.policies import get_policy

#: How a network's last outputs become levels: the policy that reads them, and whether it is a
#: single output that thresholds of all examples cut.
LEVELS = {
    "cumulative_link": ("cumulative_link", False),
    "shared_thresholds": ("cumulative_link", True),
    "continuation_ratio": ("continuation_ratio", False),
}


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class LevelLogProbabilities(keras.layers.Layer):
    """The log probabilities `[N, K]` that a policy of levels reads off `[N, K-1]` outputs.

    They are their own log-odds, so that a loss of a softmax network trains them unchanged.

    Args:
        policy: "cumulative_link" or "continuation_ratio".

    >>> layer = LevelLogProbabilities()
    >>> keras.ops.exp(layer(keras.ops.zeros([1, 1]))).numpy().tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, policy: str = "cumulative_link", **options: Any):
        super().__init__(**options)
        self.policy = policy

    def call(self, outputs: Any) -> Any:
        return get_policy(self.policy).logits(outputs)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "policy": self.policy}


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class SharedThresholds(keras.layers.Layer):
    """Thresholds on the scale of one output `[N, 1]`, the same for all examples: `[N, K-1]`.

    What they are for a `CumulativeLink`: the first threshold less the output, and the gaps to the
    next ones before their softplus. They begin where the levels are equally probable at output 0.
    The layer before gives the scale (Vargas, Gutierrez, Hervas-Martinez 2020, "Cumulative link
    models for deep ordinal classification").

    Args:
        levels: K.

    >>> layer = SharedThresholds(4)
    >>> keras.ops.exp(LevelLogProbabilities()(layer(keras.ops.zeros([1, 1])))).numpy().round(3)
    array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """

    def __init__(self, levels: int, **options: Any):
        super().__init__(**options)
        self.levels = levels

    def build(self, input_shape: Any) -> None:
        del input_shape
        share = np.arange(1, self.levels) / self.levels
        gaps = np.diff(np.log(share / (1 - share)))
        begin = np.concatenate([np.log(share[:1] / (1 - share[:1])), np.log(np.expm1(gaps))])
        self.thresholds = self.add_weight(
            shape=begin.shape, initializer=lambda shape, dtype=None: keras.ops.cast(begin, dtype)
        )

    def call(self, outputs: Any) -> Any:
        return keras.ops.concatenate(
            [self.thresholds[:1] - outputs, self.thresholds[1:] + 0.0 * outputs], axis=-1
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "levels": self.levels}
