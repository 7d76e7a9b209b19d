"""One training step, and many in a loop: (weights, optimizer, batch) -> (weights, optimizer, loss).

A step is a pure function of one network's state. It serves one network, and many networks stacked
by `tf.vectorized_map`.
"""

from __future__ import annotations

from collections.abc import Callable
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


class Step:
    """A network's training step.

    Args:
        network: its own weights are not read.
        update: of the optimizer.
        compiled: whether XLA compiles it.
    """

    def __init__(self, network: keras.Model, update: Update, *, compiled: bool):
        self._network = network
        self._update = update
        self._compiled = compiled
        self._layout = Layout(network)

    def __call__(
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
            if not (self._compiled and _notices_bad_outputs(loss_of)):
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


def take_steps(
    step: Callable[[State, Tensor], tuple[State, Tensor]], state: State, total: Any, batches: Tensor
) -> tuple[State, Tensor]:
    """The state after so many steps, and the sum of their losses.

    Args:
        step: (state, number of the batch) -> (state, loss).
        state: before the first.
        total: the sum so far.
        batches: how many.
    """

    def body(number, state, total):
        state, loss = step(state, number)
        return number + 1, state, total + loss

    start = (tf.constant(0), state, total)
    _, state, total = tf.while_loop(
        lambda number, *_: number < batches,
        body,
        start,
        parallel_iterations=1,
        # What the loss remembers may take its size from the first batch.
        shape_invariants=tf.nest.map_structure(lambda tensor: tensor.shape, start),
    )
    return state, total


def _notices_bad_outputs(loss):
    """Whether `loss` is NaN by itself, under XLA, where outputs are not finite.

    Ours are; elsewhere they raise, which would end all replicas. Other losses may not notice.
    """
    return isinstance(loss, SiteLoss)
