"""A Keras model that several workers can train."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core._compat import BuiltByOneWorker, has_several_workers, own_strategy


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class DistributedModel(BuiltByOneWorker):
    """A `keras.Model` whose `fit` runs under `MultiWorkerMirroredStrategy` too.

    `fit` of Keras 3.15 fails there, in two places that this class mends: how the model is built
    from a batch that is spread over workers, and how the workers' logs are averaged. Everything
    else is Keras's. Use it like `keras.Model`: for a functional model, or as the base of your own.
    Under other strategies and on a single device it differs from `keras.Model` only in that it
    refuses settings that cannot work before training starts.

    Raises:
        ValueError: in `fit`: under a strategy with `jit_compile=True` or several steps per
            execution.

    >>> import keras, policygrad_metrics as pgm
    >>> inputs = keras.layers.Input((4,))
    >>> model = pgm.training.DistributedModel(inputs, keras.layers.Dense(3)(inputs))
    >>> model.compile("sgd", pgm.PolicyGradientLoss("f1_macro"))
    """

    def make_train_function(self, force: bool = False) -> Any:
        """As in Keras, unless the settings cannot work under the strategy."""
        # Not in `compile`: Keras does not compile a loaded model that has one of its own.
        if own_strategy(self) is not None and (self.steps_per_execution > 1 or self.jit_compile):
            raise ValueError(
                'steps_per_execution must be 1 and jit_compile False or "auto" under a '
                "tf.distribute strategy, where sums are exchanged between replicas in every step; "
                f"they are {self.steps_per_execution} and {self.jit_compile}. "
                "Use steps_per_execution=1 and jit_compile=False."
            )
        return super().make_train_function(force)

    def train_step(self, data: Any) -> Any:
        """As in Keras, with logs that workers can average."""
        return self._averageable(super().train_step(data))

    def test_step(self, data: Any) -> Any:
        """As in Keras, with logs that workers can average."""
        return self._averageable(super().test_step(data))

    def _averageable(self, logs):
        # Keras averages workers' logs over their first axis, which a scalar does not have.
        if not has_several_workers(own_strategy(self)):
            return logs
        return {name: tf.reshape(value, [1]) for name, value in logs.items()}
