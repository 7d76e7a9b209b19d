"""The program of one network, kept for all fits of the same shape.

Everything that changes while training is one `State` of arrays that goes in and comes out, as
scikit-learn's estimators hold arrays. So a traced program has no memory: all fits of the same
shape share it (the folds of a grid search trace once), and a fitted model is pickled as arrays.
The functions are those of `training.program`.

Shape legend: N rows, F features, P trainable numbers, K classes, L label columns.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.estimators import Estimator, get_estimator
from policygrad_metrics.losses.policy_gradient import PolicyGradientLoss
from policygrad_metrics.losses.surrogate import SurrogateLoss
from policygrad_metrics.policies import BinnedRegression, Policy
from policygrad_metrics.rewards import Constraint, Reward
from policygrad_metrics.rewards.rankings import unequal_weights, weights_alike
from policygrad_metrics.tabular.networks import ListNetwork, OwnNetwork
from policygrad_metrics.tabular.rows import Rows
from policygrad_metrics.training.inputs import first_weights
from policygrad_metrics.training.network import Network
from policygrad_metrics.training.optimizer import Rule, Update
from policygrad_metrics.training.program import Program, State
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
        policy, reward, gradient_estimator, cross_entropy, log_likelihood: as for
            `PolicyGradientLoss`; a reward of multi-label targets is already the multi-label one.
        running_counts, subject_to: as for `PolicyGradientLoss`.
    """

    network: Network | OwnNetwork | ListNetwork
    optimizer: Rule
    features: int
    outputs: int
    num_classes: int
    label_columns: int | None
    policy: Policy
    reward: Reward
    gradient_estimator: str | Estimator
    cross_entropy: float
    log_likelihood: float = 0.0
    running_counts: bool | float | None = None
    subject_to: tuple[Constraint, ...] | None = None

    def loss(self) -> PolicyGradientLoss:
        """The loss, for `stateless_call`."""
        return PolicyGradientLoss(
            self.reward,
            # A ranking has a policy of its own on the column whose sign decides.
            "auto" if self.reward.ranks else self.policy,
            self.gradient_estimator,
            self.cross_entropy,
            log_likelihood=self.log_likelihood,
            running_counts=self.running_counts,
            subject_to=self.subject_to,
        )

    def check_weights(self, rows: Rows) -> None:
        """Raise a ValueError if these weights have no exact expectation and it is asked for."""
        reward: Any = self.reward
        estimator = self.gradient_estimator
        sampled = estimator != "auto" and get_estimator(estimator).stochastic
        if rows.weight is None or sampled or not reward.ranks or reward.exact_of_weights:
            return
        if not weights_alike(np.atleast_2d(rows.weight)):
            raise ValueError(unequal_weights(reward))

    def labels(self, y: Any) -> Any:
        """Targets `y` as label numbers: of values, their levels."""
        if isinstance(self.policy, BinnedRegression):
            return self.policy.level_of(y)
        return y


class TabularProgram:
    """Compiled functions of one recipe; it holds no weights and no data.

    Args:
        recipe: what to compile.
    """

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        shape = recipe.features, recipe.outputs
        self._network: Any = recipe.network.build(*shape, seed=0)
        # A function's network predicts as it trains. Sizes of layers are evaluated in float64: how
        # a product of matrices rounds depends on a row's place among the others, and what is
        # predicted for it should not.
        predictor = None
        if isinstance(recipe.network, Network):
            predictor = recipe.network.build(*shape, seed=0, dtype="float64")
        self.update = Update(recipe.optimizer, self._network)
        self._programs = [
            Program(self._network, self.update, predictor=predictor, compiled=compiled)
            for compiled in (False, True)
        ]
        self._memory = recipe.loss().initial_state(recipe.num_classes, recipe.label_columns or 1)
        self._functions: dict[tuple[str, int, bool], Any] = {}
        self._made_by_one = threading.Lock()

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
        network.set_weights(Layout(network).for_model(state.weights, state.others))
        return network

    def train(
        self, state: State, rows: Rows, batches: np.ndarray, seed: int, total: Any, *, use_xla: bool
    ) -> tuple[State, Tensor]:
        """Take one step for each batch; returns the state afterwards and the sum of losses.

        Args:
            state: where to start.
            rows: dense.
            batches: int32 `[steps, B]`, row numbers.
            seed: of the sampling estimators.
            total: the sum of losses so far.
            use_xla: compile with XLA: slow to compile, fast to run.
        """
        settings = {"seed": np.int32(seed), "hyper": {}}
        arrays = settings, state, rows.arrays, batches, np.int32(len(batches)), np.float32(total)
        body = self._programs[use_xla].trainer(lambda _: self.recipe.loss())
        return self._call("train", body, arrays, free=(0, 0, 1, 2, 0, 0), use_xla=use_xla)

    def outputs(self, state: State, x: np.ndarray) -> Tensor:
        """The network's outputs `[N, columns]` without training, float32."""
        body = self._programs[False].apply
        return self._call("outputs", body, (state.weights, state.others, x), free=(0, 0, 1))

    def judge(self, outputs: np.ndarray, rows: Rows) -> tuple[Tensor, Tensor]:
        """The reward of the likeliest labels and the mean cross-entropy in nats, two scalars.

        Of a ranking it is that of the outputs.
        """
        weight = () if rows.weight is None else (rows.weight,)
        score: Any = self.recipe.reward
        if isinstance(self.recipe.network, ListNetwork):
            cross_entropy = SurrogateLoss("listnet")(rows.y, outputs, *weight)
            return score(rows.y, outputs, *weight), cross_entropy
        arrays = (outputs, rows.priced, *weight)
        reward, cross_entropy = self._call("judge", self._judge, arrays, free=(1, 1, 1))
        if self.recipe.reward.ranks:
            reward = score(rows.y, outputs[:, 0], *weight)
        return reward, cross_entropy

    def _call(self, name, body, arrays, free, use_xla=False):
        """Call a function that was compiled once for all arrays of these kinds.

        Args:
            name: of the function.
            body: what to compile.
            arrays: the arguments.
            free: of each argument, how many of its first axes may have any length.
            use_xla: whether XLA compiles it.
        """
        key = (name, len(tf.nest.flatten(arrays)), use_xla)
        with self._made_by_one:  # members of an ensemble call it from several threads
            if key not in self._functions:
                signature = [_specs(array, axes) for array, axes in zip(arrays, free, strict=False)]
                self._functions[key] = self._programs[use_xla].function(body, signature)
        return self._functions[key](*arrays)

    def _judge(self, outputs, y, row_weight=None):
        priced = self.recipe.reward.reads_costs
        labels = tf.cast(self.recipe.labels(y[:, 0] if priced else y), tf.int32)
        logits = self.recipe.policy.logits(outputs)
        decisions = tf.argmax(logits, axis=-1, output_type=tf.int32)
        K = self.recipe.num_classes
        reward = tf.zeros([])
        if not self.recipe.reward.ranks:
            truth = y if priced else labels
            reward = self.recipe.reward(truth, decisions, row_weight, num_classes=K)
        log_probs = tf.reduce_sum(tf.one_hot(labels, K) * tf.nn.log_softmax(logits), axis=-1)
        if log_probs.shape.rank > 1:
            log_probs = tf.reduce_mean(log_probs, axis=1)
        if row_weight is None:
            return reward, -tf.reduce_mean(log_probs)
        total = tf.reduce_sum(row_weight)
        return reward, -tf.reduce_sum(log_probs * row_weight) / total


def _specs(arrays, free):
    """What a function is traced for; an empty array takes its size from the first batch."""

    def spec(array):
        free_axes = free if np.size(array) else np.ndim(array)
        return tf.TensorSpec([None] * free_axes + [*array.shape[free_axes:]], array.dtype)

    return tf.nest.map_structure(spec, arrays)


_kept_program = functools.lru_cache(maxsize=KEPT_PROGRAMS)(TabularProgram)


def get_program(recipe: Recipe) -> TabularProgram:
    """The program of a recipe, shared with earlier fits where that is safe.

    Functions of your own may close over anything: their programs are made anew.
    """
    if isinstance(recipe.network, OwnNetwork) or recipe.reward.calls_python:
        return TabularProgram(recipe)
    try:
        hash(recipe)
    except TypeError:  # a reward or estimator of your own that holds a list or an array
        return TabularProgram(recipe)
    return _kept_program(recipe)
