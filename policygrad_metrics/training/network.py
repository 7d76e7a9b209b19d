"""A small dense network as a record, and the Keras model it stands for."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import keras
import numpy as np

from policygrad_metrics.core.checks import choose
from policygrad_metrics.training.cumulative import LEVELS, LevelLogProbabilities, SharedThresholds


@dataclasses.dataclass(frozen=True)
class Network:
    """Dense layers: `Dense -> batch normalisation -> activation -> dropout`, then the outputs.

    Args:
        hidden: width of each hidden layer; `()` is a linear model.
        activation: any name that Keras knows.
        dropout: share of the units dropped after each hidden layer, in [0, 1).
        batch_norm: whether to normalise before each activation.
        levels: None for a last dense layer with a column for each output. Else the outputs are log
            probabilities of levels: "cumulative_link" and "continuation_ratio" read them off one
            column fewer, "shared_thresholds" off one, which the same thresholds cut for all rows.

    Raises:
        ValueError: a width below 1, a dropout outside [0, 1), or levels that are not known.

    >>> Network((32, 16), dropout=0.1).build(features=4, outputs=3, seed=0).count_params()
    739
    >>> Network((8,), levels="cumulative_link").build(features=3, outputs=6, seed=0).output_shape
    (None, 6)
    >>> Network(dropout=1.0)
    Traceback (most recent call last):
    ValueError: dropout must lie in [0, 1); it is 1.0.
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "relu"
    dropout: float = 0.0
    batch_norm: bool = False
    levels: str | None = None

    def __post_init__(self):
        object.__setattr__(self, "hidden", tuple(int(width) for width in self.hidden))
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden must be widths of 1 or more; they are {self.hidden}.")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout must lie in [0, 1); it is {self.dropout!r}.")
        if self.levels is not None:
            choose("levels", self.levels, LEVELS)

    def build(self, features: int, outputs: int, seed: int, dtype: str = "float32") -> keras.Model:
        """Build the model; equal seeds give equal weights and equal dropout.

        Args:
            features: columns of the input.
            outputs: columns of the output, log-odds without an activation.
            seed: not negative. Global random state is neither read nor changed.
            dtype: of the weights and of what is computed.
        """
        seeds = self._seeds(seed)
        inputs = keras.Input((features,), dtype=dtype)
        values = inputs
        for layer, width in enumerate(self.hidden):
            values = _dense(width, seeds[2 * layer], dtype)(values)
            if self.batch_norm:
                values = keras.layers.BatchNormalization(dtype=dtype)(values)
            values = keras.layers.Activation(self.activation, dtype=dtype)(values)
            if self.dropout:
                dropout = keras.layers.Dropout(self.dropout, seed=seeds[2 * layer + 1], dtype=dtype)
                values = dropout(values)
        values = _dense(self._columns(outputs), seeds[-1], dtype)(values)
        if self.levels is not None:
            policy, shared = LEVELS[self.levels]
            values = SharedThresholds(outputs)(values) if shared else values
            values = LevelLogProbabilities(policy)(values)
        return keras.Model(inputs, values)

    def kernels(self, features: int, outputs: int, seed: int) -> list[np.ndarray]:
        """Return the kernels that `build` starts with; all other weights start alike for all seeds.

        Without building a model, of which Keras never frees a quarter of a megabyte.
        """
        widths = (features, *self.hidden, self._columns(outputs))
        return [
            np.asarray(keras.ops.convert_to_numpy(_initializer(own)(shape)))
            for own, shape in zip(self._seeds(seed)[::2], itertools.pairwise(widths), strict=True)
        ]

    def _columns(self, outputs):
        """Of the last dense layer."""
        if self.levels is None:
            return outputs
        return 1 if LEVELS[self.levels][1] else outputs - 1

    def _seeds(self, seed):
        """Of each hidden layer's kernel and dropout, then of the output layer's kernel."""
        return np.random.SeedSequence(seed).generate_state(2 * len(self.hidden) + 1).tolist()


def _dense(width, seed, dtype):
    return keras.layers.Dense(width, kernel_initializer=_initializer(seed), dtype=dtype)


def _initializer(seed) -> Any:
    return keras.initializers.GlorotUniform(seed)
