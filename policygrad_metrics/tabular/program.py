"""One network and its training step as compiled functions of plain arrays.

Everything that changes while training is one `State` of arrays that goes in and comes out, as
scikit-learn's estimators hold arrays. So a traced program has no memory: all fits of the same
shape share it (the folds of a grid search trace once), and a fitted model is pickled as arrays.
The step itself is that of `training.step`.

Shape legend: N rows, F features, P trainable numbers, K classes, L label columns.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.estimators import Estimator
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.policies import BinnedRegression, Policy
from policygrad_metrics.rewards import BlackBox, Reward
from policygrad_metrics.tabular.networks import OwnNetwork
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.training.inputs import first_weights
from policygrad_metrics.training.network import Network
from policygrad_metrics.training.optimizer import Rule, Update
from policygrad_metrics.training.step import State, Step, take_steps
from policygrad_metrics.training.weights import Layout

#: Programs kept for later fits.
KEPT_PROGRAMS = 16


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a program depends on.

    Args:
        network: builds the network.
        optimizer: updates it.
        features: F.
        outputs: columns of the network's output.
        num_classes: K, 2 for label columns.
        label_columns: L of multi-label targets `[N, L]`, None for targets `[N]`.
        policy, reward, estimator, cross_entropy, log_likelihood, background: as for
            `PolicyGradientLoss`; a reward of multi-label targets is already the multi-label one.
    """

    network: Network | OwnNetwork
    optimizer: Rule
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

    def loss(self) -> PolicyGradientLoss:
        """The loss, for `stateless_call`."""
        return PolicyGradientLoss(
            self.reward,
            self.policy,
            self.estimator,
            self.cross_entropy,
            log_likelihood=self.log_likelihood,
            background=self.background,
        )

    def labels(self, y: Any) -> Any:
        """Targets `y` as label numbers: of values, their levels."""
        if isinstance(self.policy, BinnedRegression):
            return self.policy.level_of(y)
        return y


class Program:
    """Compiled functions of one recipe; holds no weights and no data.

    Args:
        recipe: what to compile.
    """

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        shape = recipe.features, recipe.outputs
        self._network: Any = recipe.network.build(*shape, seed=0)
        # A function's network predicts as it trains.
        self._predictor: Any = self._network
        self._predicts_in = "float32"
        if isinstance(recipe.network, Network):
            self._predicts_in = "float64"
            self._predictor = recipe.network.build(*shape, seed=0, dtype=self._predicts_in)
        self.update = Update(recipe.optimizer, self._network)
        self._layout = Layout(self._network)
        self._memory = recipe.loss().initial_state(recipe.num_classes, recipe.label_columns or 1)
        self._functions: dict[tuple[str, bool, bool], Any] = {}

    def initial_state(self, seed: int, learning_rate: float | None) -> State:
        """A freshly initialised network and optimizer.

        Args:
            seed: of the initial weights.
            learning_rate: None for a schedule.
        """
        recipe = self.recipe
        weights, others = first_weights(
            recipe.network, self._network, recipe.features, recipe.outputs, seed
        )
        return State.first(weights, self.update.initial(learning_rate), others, self._memory)

    def keras_network(self, state: State) -> keras.Model:
        """A Keras model of its own with the weights of `state`."""
        network = self.recipe.network.build(self.recipe.features, self.recipe.outputs, seed=0)
        network.set_weights(self._layout.for_model(state.weights, state.others))
        return network

    def train(
        self, state: State, rows: Rows, batches: Any, seed: int, total: Any, *, use_xla: bool
    ) -> tuple[State, Tensor]:
        """Take one step for each batch.

        Args:
            state: where to start.
            rows: dense.
            batches: int32 `[steps, B]`, row numbers.
            seed: of the sampling estimators.
            total: float32, the sum of losses so far.
            use_xla: compile with XLA: slow to compile, fast to run.

        Returns:
            The state afterwards and the sum of losses.
        """
        train = self._function("train", rows.weight is not None, use_xla)
        weight = np.zeros(0, np.float32) if rows.weight is None else rows.weight
        data = rows.x, rows.y, weight
        return train(state, data, batches, np.int32(seed), np.float32(total))

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
                "train": (self._train, [state, (x, y, weight), batches, whole, number]),
                "outputs": (self._outputs, [state, x]),
                "judge": (self._judge, [outputs, y, weight]),
            }[name]
            # As partials: of methods, TensorFlow would count the traces of all programs together,
            # and warn of one function that is traced too often.
            own = {"train": [weighted, use_xla], "outputs": [], "judge": [weighted]}[name]
            function = functools.partial(function, *own)
            self._functions[key] = tf.function(
                function, input_signature=signature, autograph=False, jit_compile=use_xla
            )
        return self._functions[key]

    def _state_spec(self):
        state = self.initial_state(0, None)
        # What is empty at first takes its size from the first batch.
        return tf.nest.map_structure(
            lambda v: tf.TensorSpec(v.shape if v.size else [None] * v.ndim, v.dtype), state
        )

    def _train(self, weighted, use_xla, state, data, batches, seed, total):
        x, y, weight = data
        loss, take = self.recipe.loss(), Step(self._network, self.update, compiled=use_xla)

        def step(state, number):
            rows = batches[number]
            row_weight = tf.gather(weight, rows) if weighted else None
            return take(loss, seed, state, tf.gather(x, rows), tf.gather(y, rows), row_weight)

        return take_steps(step, state, total, tf.shape(batches)[0])

    def _outputs(self, state, x):
        weights = self._layout.split(tf.cast(state.weights, self._predicts_in))
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


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def _kept_program(recipe: Recipe) -> Program:
    return Program(recipe)


def get_program(recipe: Recipe) -> Program:
    """The program of a recipe, shared with earlier fits where that is safe.

    Functions of your own may close over anything: their programs are made anew.
    """
    if isinstance(recipe.network, OwnNetwork) or isinstance(recipe.reward, BlackBox):
        return Program(recipe)
    try:
        hash(recipe)
    except TypeError:  # a reward or estimator of your own that holds a list or an array
        return Program(recipe)
    return _kept_program(recipe)
