"""A network's training as compiled functions: of one network, or of R replicas of it at once.

Everything is written for a single network. `Program.over_replicas` turns it into R of them:
`tf.vectorized_map` gives every tensor a leading axis of R replicas, so that matrix products become
batched ones. (Measured: of this, matrix products stacked by hand, and a Python loop over replicas
inside one graph, this is as fast as any under XLA, and it compiles in a quarter of the loop's time
because the loss is compiled once, not R times.)
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.training.optimizer import Update
from policygrad_metrics.training.step import Loss, Step, take_steps
from policygrad_metrics.training.weights import Layout


class Program:
    """Functions that train a network and apply it; they hold neither weights nor data.

    Args:
        model: the network; its own weights are not read.
        update: of the optimizer.
        predictor: the same network, perhaps in another precision, to apply; None for `model`.
        stacked: whether arguments and results have a leading axis of R replicas.
        compiled: whether XLA compiles the functions; it cannot compile Python functions.
    """

    def __init__(
        self,
        model: keras.Model,
        update: Update,
        *,
        predictor: keras.Model | None = None,
        stacked: bool = False,
        compiled: bool = False,
    ):
        self.stacked = stacked
        self.compiled = compiled
        self._predictor: Any = predictor or model
        # Of all variables the first may be the state of a dropout, whole numbers.
        self._predicts_in = self._predictor.trainable_variables[0].dtype
        self._layout = Layout(model)
        self._step = Step(model, update, compiled=compiled)

    def function(self, body: Callable[..., Any], signature: Sequence[Any] | None = None) -> Any:
        """A compiled function, for arguments of this signature if there is one."""
        # As a partial: of methods, TensorFlow would count the traces of all programs together,
        # and warn of one function that is traced too often.
        return tf.function(
            functools.partial(body),
            input_signature=signature,
            autograph=False,
            jit_compile=self.compiled,
        )

    def trainer(self, build_loss: Callable[[dict[str, Any]], Loss]) -> Callable[..., Any]:
        """A function, not yet compiled, that takes a step for each of the first `count` batches.

            (settings, state, data, batches, count, total) -> (state, total)

        `settings` holds "seed", of what the loss draws, and "hyper", numbers for `build_loss`.
        `data` is x, y and perhaps weights. `batches [count or more, B]` holds row numbers of it.
        `total` is a sum of losses, to which those of the steps are added. Data and count have no
        axis of replicas.
        """

        def train(settings, state, data, batches, count, total):
            def step(setting, state, rows):
                batch = [tf.gather(part, rows) for part in data]
                return self._step(build_loss(setting["hyper"]), setting["seed"], state, *batch)

            def together(state, number):
                rows = tf.gather(batches, number, axis=1) if self.stacked else batches[number]
                return self.over_replicas(step, settings, state, rows)

            return take_steps(together, state, total, count)

        return train

    def apply(self, weights: Tensor, others: list[Tensor], x: Tensor) -> Tensor:
        """The network's outputs without training, float32."""

        def one(own, other, batch):
            own = self._layout.split(tf.cast(own, self._predicts_in))
            batch = tf.cast(batch, self._predicts_in)
            outputs, _ = self._predictor.stateless_call(own, other, batch, training=False)
            return tf.cast(outputs, tf.float32)

        return self.over_replicas(one, weights, others, x)

    def over_replicas(self, one: Callable[..., Any], *args: Any) -> Any:
        """A function of one replica, applied to all."""
        if not self.stacked:
            return one(*args)
        # AutoGraph would read all of Keras, for nothing. Draws have no stacked form and go
        # through a loop, without a warning for each.
        body = tf.autograph.experimental.do_not_convert(lambda packed: one(*packed))
        return tf.vectorized_map(body, args, warn=False)
