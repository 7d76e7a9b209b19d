"""Keras activations."""

from __future__ import annotations

from typing import Any

import keras

from policygrad_metrics.surrogates.steps import sigmoid_staircase


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class SigmoidStaircase:
    """A smooth staircase as a layer's activation, with a gradient between its steps.

        f(z) = sum_j h / (1 + exp(-sharpness (z - centre_j) / h)),   h = 1 / steps

    with centres at h/2, 3h/2, ...; see `surrogates.steps.sigmoid_staircase`. It is drawn for z in
    [0, 1], flat below and above: begin the layer's bias at 1/2.

    Args:
        steps: how many, 1 or more; one less than there are levels.
        sharpness: slope of a step over its width, > 0.

    Raises:
        ValueError: bad steps or sharpness.

    >>> import keras
    >>> layer = keras.layers.Activation(SigmoidStaircase(steps=2, sharpness=40.0))
    >>> layer(keras.ops.array([0.1, 0.4, 0.9])).numpy().round(2).tolist()
    [0.0, 0.5, 1.0]
    """

    def __init__(self, steps: int = 4, sharpness: float = 10.0):
        sigmoid_staircase([0.0], steps=steps, sharpness=sharpness)  # raises on bad arguments
        self.steps = steps
        self.sharpness = sharpness

    def __call__(self, z: Any) -> Any:
        """The staircase of every number in `z`."""
        return sigmoid_staircase(z, steps=self.steps, sharpness=self.sharpness)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"steps": self.steps, "sharpness": self.sharpness}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SigmoidStaircase:
        """The inverse of `get_config`."""
        return cls(**config)
