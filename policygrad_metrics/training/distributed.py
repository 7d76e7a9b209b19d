"""A Keras model that several workers can train."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="policygrad_metrics")
class DistributedModel(keras.Model):
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

    def make_train_function(self, force=False):
        """As in Keras, unless the settings cannot work under the strategy."""
        # Not in `compile`: Keras does not compile a loaded model that has one of its own.
        if self._distribute_strategy is not None and (
            self.steps_per_execution > 1 or self.jit_compile
        ):
            raise ValueError(
                'steps_per_execution must be 1 and jit_compile False or "auto" under a '
                "tf.distribute strategy, where sums are exchanged between replicas in every step; "
                f"they are {self.steps_per_execution} and {self.jit_compile}. "
                "Use steps_per_execution=1 and jit_compile=False."
            )
        return super().make_train_function(force)

    def train_step(self, data):
        """As in Keras, with logs that workers can average."""
        return self._averageable(super().train_step(data))

    def test_step(self, data):
        """As in Keras, with logs that workers can average."""
        return self._averageable(super().test_step(data))

    def _averageable(self, logs):
        # Keras averages workers' logs over their first axis, which a scalar does not have.
        if not _several_workers(self._distribute_strategy):
            return logs
        return {name: tf.reshape(value, [1]) for name, value in logs.items()}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Keras averages a batch over the workers to build from, which unequal shares do not allow.
        strategy = self._distribute_strategy
        if strategy is None or not _several_workers(strategy) or iterator is None:
            super()._maybe_symbolic_build(iterator=iterator, data_batch=data_batch)
            return
        for _, _, batches in iterator:
            data_batch = keras.tree.map_structure(
                lambda x: strategy.experimental_local_results(x)[0], next(batches)
            )
            break
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)


def _several_workers(strategy):
    return (
        isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        and strategy.extended._in_multi_worker_mode()
    )
