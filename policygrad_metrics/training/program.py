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
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.draws import keyed_by
from policygrad_metrics.losses.base import SiteLoss
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.training.optimizer import Update
from policygrad_metrics.training.weights import Layout

Loss = Callable[..., Tensor]


class State(NamedTuple):
    """All that training changes; arrays or tensors.

    Args:
        weights: float32 `[P]`, the trainable variables one after the other.
        optimizer: the optimizer's variables.
        others: the variables that are not trained (batch statistics, states of dropout).
        memory: what the loss remembers (a moving average, running counts).
        step: int32 scalar, the steps taken.
    """

    weights: Any
    optimizer: list[Any]
    others: list[Any]
    memory: list[Any]
    step: Any

    @classmethod
    def first(cls, weights: Any, optimizer: list[Any], others: list[Any], memory: Any) -> State:
        """Before the first step, with what a loss says that it starts from."""
        remembered = [np.asarray(value, np.float32) for value in memory]
        return cls(weights, optimizer, others, remembered, np.int32(0))


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
        self._network: Any = model
        self._update = update
        self._predictor: Any = predictor or model
        # Of all variables the first may be the state of a dropout, whole numbers.
        self._predicts_in = self._predictor.trainable_variables[0].dtype
        self._layout = Layout(model)

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

            def body(number, state, total):
                state, loss = together(state, number)
                return number + 1, state, total + loss

            start = (tf.constant(0), state, total)
            _, state, total = tf.while_loop(
                lambda number, *_: number < count,
                body,
                start,
                parallel_iterations=1,
                # What the loss remembers may take its size from the first batch.
                shape_invariants=tf.nest.map_structure(lambda tensor: tensor.shape, start),
            )
            return state, total

        return train

    def _step(
        self, loss_of: Loss, seed: Tensor, state: State, x: Tensor, y: Tensor, weight: Any = None
    ) -> tuple[State, Tensor]:
        """The state after a step on one batch, and the loss: NaN where outputs are not finite.

        Args:
            loss_of: `loss(y_true, outputs) -> scalar`.
            seed: int32, of what the loss draws.
            state: before the step.
            x: `[B, F]`.
            y: the truth.
            weight: `[B]` or None; only of a `PolicyGradientLoss`.
        """
        with tf.GradientTape() as tape, keyed_by(tf.stack([seed, state.step])):
            tape.watch(state.weights)
            found: Any = self._network.stateless_call(
                self._layout.split(state.weights),
                state.others,
                x,
                training=True,
                return_losses=True,
            )
            outputs, others, penalties = found
            finite = tf.constant(True)
            if not (self.compiled and _notices_bad_outputs(loss_of)):
                finite = tf.reduce_all(tf.math.is_finite(outputs))
                outputs = tf.where(finite, outputs, 0.0)
            if isinstance(loss_of, PolicyGradientLoss):
                loss, memory = loss_of.stateless_call(y, outputs, tuple(state.memory), weight)
            else:
                loss, memory = loss_of(y, outputs), state.memory
            total = tf.add_n([loss, *penalties])
            gradient = tape.gradient(
                total, state.weights, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
        weights, optimizer = self._update(state.optimizer, gradient, state.weights)
        others = [tf.convert_to_tensor(value) for value in others]
        after = State(weights, optimizer, others, list(memory), state.step + 1)
        return after, tf.where(finite, total, float("nan"))

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


def _notices_bad_outputs(loss):
    """Whether `loss` is NaN by itself, under XLA, where outputs are not finite.

    Ours are; elsewhere they raise, which would end all replicas. Other losses may not notice.
    """
    return isinstance(loss, SiteLoss)
