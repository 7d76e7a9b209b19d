"""One network and its training step as compiled functions of plain arrays.

Everything that changes while training is one `State` of arrays that goes in and comes out, as
scikit-learn's estimators hold arrays. So a traced program has no memory: all fits of the same
shape share it (the folds of a grid search trace once), and a fitted model is pickled as arrays.

Shape legend: N rows, F features, P trainable numbers, K classes, L label columns.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.sites import Tensor
from policygrad_metrics.estimators import Estimator
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.policies import BinnedRegression, Policy
from policygrad_metrics.rewards import BlackBox, Reward
from policygrad_metrics.tabular.networks import build_network

#: Adam (Kingma & Ba 2015), as in Keras.
FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-7
#: Programs kept for later fits.
KEPT_PROGRAMS = 16


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a program depends on.

    Args:
        hidden: sizes of dense layers, or a function `(n_features, n_outputs) -> keras.Model`.
        features: F.
        outputs: columns of the network's output.
        num_classes: K, 2 for label columns.
        label_columns: L of multi-label targets `[N, L]`, None for targets `[N]`.
        policy, reward, estimator, cross_entropy, log_likelihood, background: as for
            `PolicyGradientLoss`; a reward of multi-label targets is already the multi-label one.
    """

    hidden: tuple[int, ...] | Callable[[int, int], keras.Model]
    features: int
    outputs: int
    num_classes: int
    label_columns: int | None
    policy: Policy
    reward: Reward
    estimator: str | Estimator
    cross_entropy: float
    log_likelihood: float = 0.0
    background: str | float | None = None

    def loss(self, seed: Any = 0) -> PolicyGradientLoss:
        """The loss, for `stateless_call`."""
        return PolicyGradientLoss(
            self.reward,
            self.policy,
            self.estimator,
            self.cross_entropy,
            seed=seed,
            log_likelihood=self.log_likelihood,
            background=self.background,
        )

    def labels(self, y: Any) -> Any:
        """Targets `y` as label numbers: of values, their levels."""
        if isinstance(self.policy, BinnedRegression):
            return self.policy.level_of(y)
        return y


class State(NamedTuple):
    """All that training changes.

    Args:
        weights: float32 `[P]`, the trainable variables one after the other.
        first, second: float32 `[P]`, Adam's running moments.
        steps: float32 scalar, Adam's step count.
        others: the variables that are not trained (batch statistics, states of dropout).
        memory: what the loss remembers (a moving average, running counts).
    """

    weights: Any
    first: Any
    second: Any
    steps: Any
    others: tuple[Any, ...]
    memory: tuple[Any, ...]

    def rested(self) -> State:
        """The same network with a fresh optimiser."""
        nothing = np.zeros_like(self.weights)
        return self._replace(first=nothing, second=nothing, steps=np.float32(0.0))

    def arrays(self) -> State:
        """The same with numpy arrays."""
        return tf.nest.map_structure(np.asarray, self)


class Program:
    """Compiled functions of one recipe; holds no weights and no data.

    Args:
        recipe: what to compile.
    """

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        shape = recipe.hidden, recipe.features, recipe.outputs
        self._network: Any = build_network(*shape, seed=0)
        # A function's network predicts as it trains.
        self._predictor: Any = self._network
        self._predicts_in = "float32"
        if not callable(recipe.hidden):
            self._predicts_in = "float64"
            self._predictor = build_network(*shape, seed=0, dtype=self._predicts_in)
        self._shapes = [tuple(v.shape) for v in self._network.trainable_variables]
        initial = recipe.loss().initial_state(recipe.num_classes, recipe.label_columns or 1)
        self._memory = tuple(np.asarray(value, np.float32) for value in initial)
        self._functions: dict[tuple[str, bool, bool], Any] = {}

    def initial_state(self, seed: int) -> State:
        """A freshly initialised network and optimiser.

        Args:
            seed: of the initial weights.
        """
        recipe = self.recipe
        network = build_network(recipe.hidden, recipe.features, recipe.outputs, seed)
        flat = [np.asarray(v.value).ravel() for v in network.trainable_variables]
        others = tuple(np.asarray(v.value) for v in network.non_trainable_variables)
        weights = np.concatenate([*flat, np.zeros(0, np.float32)])
        return State(weights, weights, weights, np.float32(0.0), others, self._memory).rested()

    def keras_network(self, state: State) -> keras.Model:
        """A Keras model of its own with the weights of `state`."""
        recipe = self.recipe
        network = build_network(recipe.hidden, recipe.features, recipe.outputs, seed=0)
        for variable, value in zip(
            network.trainable_variables, self._unflatten(tf.constant(state.weights)), strict=True
        ):
            variable.assign(value)
        for variable, value in zip(network.non_trainable_variables, state.others, strict=True):
            variable.assign(value)
        return network

    def train(
        self,
        state: State,
        x: Any,
        y: Any,
        weight: Any,
        batches: Any,
        learning_rate: float,
        seed: int,
        *,
        use_xla: bool = False,
    ) -> tuple[State, Tensor]:
        """Take one step for each batch.

        Args:
            state: where to start.
            x: float32 `[N, F]`.
            y: labels as float32, `[N]` or `[N, L]`.
            weight: float32 `[N]`, or None.
            batches: int32 `[steps, B]`, row numbers.
            learning_rate: Adam's.
            seed: of the sampling estimators.
            use_xla: compile with XLA: slow to compile, fast to run.

        Returns:
            The state afterwards and the loss of each step `[steps]`.
        """
        weighted = weight is not None
        train = self._function("train", weighted, use_xla)
        weight = weight if weighted else np.zeros(0, np.float32)
        return train(state, x, y, weight, batches, np.float32(learning_rate), np.int32(seed))

    def outputs(self, state: State, x: Any) -> Tensor:
        """The network's outputs `[N, columns]` without training, in float32.

        Sizes of layers are evaluated in float64: how a product of matrices rounds depends on a
        row's place among the others, and what is predicted for it should not.
        """
        return self._function("outputs", False, False)(state, x)

    def judge(self, outputs: Any, y: Any, weight: Any) -> tuple[Tensor, Tensor]:
        """The reward of the likeliest labels and the mean cross-entropy in nats, two scalars."""
        weighted = weight is not None
        judge = self._function("judge", weighted, False)
        return judge(outputs, y, weight if weighted else np.zeros(0, np.float32))

    def _function(self, name, weighted, use_xla):
        key = (name, weighted, use_xla)
        if key not in self._functions:
            number, whole = tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.int32)
            columns = self.recipe.label_columns
            state = self._state_spec()
            x = tf.TensorSpec([None, self.recipe.features], tf.float32)
            y = tf.TensorSpec([None] if columns is None else [None, columns], tf.float32)
            outputs = tf.TensorSpec([None, self.recipe.outputs], tf.float32)
            weight = tf.TensorSpec([None], tf.float32)
            batches = tf.TensorSpec([None, None], tf.int32)
            function, signature = {
                "train": (self._train, [state, x, y, weight, batches, number, whole]),
                "outputs": (self._outputs, [state, x]),
                "judge": (self._judge, [outputs, y, weight]),
            }[name]
            # As partials: of methods, TensorFlow would count the traces of all programs together,
            # and warn of one function that is traced too often.
            function = functools.partial(function, *([] if name == "outputs" else [weighted]))
            self._functions[key] = tf.function(
                function, input_signature=signature, autograph=False, jit_compile=use_xla
            )
        return self._functions[key]

    def _state_spec(self):
        flat = tf.TensorSpec([sum(map(np.prod, self._shapes))], tf.float32)
        others = (tf.TensorSpec(v.shape, v.dtype) for v in self._network.non_trainable_variables)
        # What is empty at first takes its size from the first batch.
        memory = (
            tf.TensorSpec(m.shape if m.size else [None] * m.ndim, tf.float32) for m in self._memory
        )
        number = tf.TensorSpec([], tf.float32)
        return State(flat, flat, flat, number, tuple(others), tuple(memory))

    def _train(self, weighted, state, x, y, weight, batches, learning_rate, seed):
        loss = self.recipe.loss(seed)
        steps = tf.shape(batches)[0]

        def step(index, state, values):
            rows = batches[index]
            inputs, truth = tf.gather(x, rows), tf.gather(y, rows)
            row_weight = tf.gather(weight, rows) if weighted else None
            with tf.GradientTape() as tape:
                tape.watch(state.weights)
                outputs, others, penalties = self._network.stateless_call(
                    self._unflatten(state.weights),
                    state.others,
                    inputs,
                    training=True,
                    return_losses=True,
                )
                value, memory = loss.stateless_call(truth, outputs, state.memory, row_weight)
                value += sum(penalties)
            after = _adam(state, tape.gradient(value, state.weights), learning_rate)
            return (
                index + 1,
                after._replace(others=tuple(map(tf.convert_to_tensor, others)), memory=memory),
                tf.tensor_scatter_nd_update(values, [[index]], [value]),
            )

        _, state, values = tf.while_loop(
            lambda index, *_: index < steps,
            step,
            (tf.constant(0), state, tf.zeros([steps])),
            parallel_iterations=1,
            shape_invariants=(
                tf.TensorShape([]),
                tf.nest.map_structure(lambda spec: spec.shape, self._state_spec()),
                tf.TensorShape([None]),
            ),
        )
        return state, values

    def _outputs(self, state, x):
        weights = self._unflatten(tf.cast(state.weights, self._predicts_in))
        outputs, _ = self._predictor.stateless_call(
            weights, state.others, tf.cast(x, self._predicts_in), training=False
        )
        return tf.cast(outputs, tf.float32)

    def _judge(self, weighted, outputs, y, weight):
        labels = tf.cast(self.recipe.labels(y), tf.int32)
        logits = self.recipe.policy.logits(outputs)
        row_weight = weight if weighted else None
        decisions = tf.argmax(logits, axis=-1, output_type=tf.int32)
        K = self.recipe.num_classes
        reward = self.recipe.reward(labels, decisions, row_weight, num_classes=K)
        log_probs = tf.reduce_sum(tf.one_hot(labels, K) * tf.nn.log_softmax(logits), axis=-1)
        if log_probs.shape.rank > 1:
            log_probs = tf.reduce_mean(log_probs, axis=1)
        if row_weight is None:
            return reward, -tf.reduce_mean(log_probs)
        total = tf.reduce_sum(row_weight)
        return reward, -tf.reduce_sum(log_probs * row_weight) / total

    def _unflatten(self, weights):
        parts = tf.split(weights, [int(np.prod(shape)) for shape in self._shapes])
        return [tf.reshape(part, s) for part, s in zip(parts, self._shapes, strict=True)]


def _adam(state, gradient, learning_rate):
    steps = state.steps + 1.0
    first = state.first + (1.0 - FIRST_DECAY) * (gradient - state.first)
    second = state.second + (1.0 - SECOND_DECAY) * (gradient * gradient - state.second)
    rate = learning_rate * tf.sqrt(1.0 - SECOND_DECAY**steps) / (1.0 - FIRST_DECAY**steps)
    weights = state.weights - rate * first / (tf.sqrt(second) + EPSILON)
    return State(weights, first, second, steps, state.others, state.memory)


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def _kept_program(recipe: Recipe) -> Program:
    return Program(recipe)


def get_program(recipe: Recipe) -> Program:
    """The program of a recipe, shared with earlier fits where that is safe.

    Functions of your own may close over anything: their programs are made anew.
    """
    if callable(recipe.hidden) or isinstance(recipe.reward, BlackBox):
        return Program(recipe)
    try:
        hash(recipe)
    except TypeError:  # a reward or estimator of your own that holds a list or an array
        return Program(recipe)
    return _kept_program(recipe)
