"""REBAR and RELAX: relaxed draws as a control variate that is learned on the way."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.estimators.base import Estimate, Problem
from policygrad_metrics.estimators.literature.base import (
    finite,
    need_soft_score,
    refuse_replicas,
)
from policygrad_metrics.estimators.literature.gumbel import RelaxedEstimator, perturbed_logits


@dataclasses.dataclass(frozen=True)
class Rebar(RelaxedEstimator):
    """REINFORCE with relaxed draws as control variate; its scale and temperature are learned.

        gradient = 1/S sum_s (R(a) - c(z')) (one_hot(a) - p) + d c(z) / dlogits - d c(z') / dlogits
        c(z) = scale f(softmax((z + T^2 / (T + 1) log p) / T))

    z = log p + Gumbel noise, a its largest, z' a draw of such z given a, T the temperature, f the
    reward's score of soft labels. Unbiased whatever c is. Both z use the same uniforms, so that
    z' = z and only their derivatives differ. Scale and temperature descend the squared gradient
    (Adam) and are used from the next call on: they are in `Estimate.state`. Tucker et al. 2017,
    "REBAR: low-variance, unbiased gradient estimates for discrete latent variable models". Cost: S
    reward calls and S forward and backward passes of the soft score, twice that to learn.

    Args:
        samples: S.
        learning_rate: of the control variate's parameters.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("rebar", samples=4)
    >>> estimate = estimator(tf.zeros([3, 2]), pgm.get_reward("f1"), [0, 1, 1], seed=1)
    >>> [part.shape.as_list() for part in estimate.state]
    [[2], [2], [2], []]
    """

    learning_rate: float = 0.02

    def check(self, problem):
        need_soft_score("rebar", problem)
        refuse_replicas("rebar")

    def first_parameters(self) -> np.ndarray:
        """Scale and logarithm of the temperature, at the start."""
        return np.array([1.0, np.log(0.5)], np.float32)

    def initial_state(self):
        first = self.first_parameters()
        # The parameters, Adam's two averages, and its count of steps.
        return first, np.zeros_like(first), np.zeros_like(first), 0.0

    def control(self, problem: Problem, z: Tensor, parameters: Tensor) -> Tensor:
        """The control variate c(z), `[S]`."""
        temperature = tf.exp(parameters[1])
        # The paper's tilt: at high temperatures this is MuProp, where softmax(z / T) is uniform.
        tilt = temperature**2 / (temperature + 1.0)
        log_probs = tf.math.log(tf.maximum(problem.probs, 1e-20))
        relaxed = tf.nn.softmax((z + tilt * log_probs) / temperature)
        return parameters[0] * problem.bound.soft_score(relaxed)

    def terms(self, problem, samples, uniform, state):
        parameters = tf.convert_to_tensor((state or self.initial_state())[0])
        rewards = problem.bound.score(samples)
        return rewards, self._gradients(problem, samples, uniform, rewards, parameters)

    def _gradients(self, problem, samples, uniform, rewards, parameters):
        probs = problem.probs
        chosen = tf.one_hot(samples, probs.shape[-1])
        z, held = perturbed_logits(probs, chosen, uniform[0])
        slope, control = self._slope(problem, z, parameters)
        through = slope * (1.0 - held)
        # d log p / dlogits takes h to h - p sum h.
        through -= probs * tf.reduce_sum(through, axis=-1, keepdims=True)
        return (rewards - control)[:, None, None, None] * (chosen - probs) + through

    def _slope(self, problem, z, parameters):
        with tf.GradientTape() as tape:
            tape.watch(z)
            control = self.control(problem, z, parameters)
        return finite(tape.gradient(control, z)), control

    def estimate(self, problem, *, seed, state):
        parameters, first, second, steps = (
            tf.convert_to_tensor(x, tf.float32) for x in state or self.initial_state()
        )
        samples, uniform = self.noise(problem, seed)
        rewards = problem.bound.score(samples)
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            gradients = self._gradients(problem, samples, uniform, rewards, parameters)
            squares = tf.reduce_sum(gradients**2)
        slope = finite(tape.gradient(squares, parameters))
        first = 0.9 * first + 0.1 * slope
        second = 0.99 * second + 0.01 * slope**2
        steps += 1.0
        rate = self.learning_rate * tf.sqrt(1.0 - tf.pow(0.99, steps)) / (1.0 - tf.pow(0.9, steps))
        after = parameters - rate * tf.math.divide_no_nan(first, tf.sqrt(second))
        return Estimate(
            tf.reduce_mean(rewards),
            tf.reduce_mean(gradients, axis=0),
            (after, first, second, steps),
        )


@dataclasses.dataclass(frozen=True)
class Relax(Rebar):
    """REBAR with a small network added to the control variate; it serves black boxes too.

        c(z) = c(z) of REBAR + mean over sites of network(softmax(z), p, class)

    The first term is there if the reward scores soft labels. The network has one hidden layer of
    tanh units and reads each class of each site alone. Unbiased whatever c is. Grathwohl et al.
    2018, "Backpropagation through the void". Cost: S reward calls and S passes of the network and,
    if there is one, of the soft score, twice that to learn.

    Args:
        samples: S.
        learning_rate: of the control variate's parameters.
        hidden: units of the network.

    >>> import tensorflow as tf, policygrad_metrics as pgm
    >>> estimator = pgm.estimators.get_estimator("relax", samples=4, hidden=2)
    >>> reward = pgm.rewards.BlackBox(lambda y_true, y_pred: float((y_true == y_pred).mean() ** 2))
    >>> estimate = estimator(tf.zeros([3, 2]), reward, [0, 1, 1], seed=1)
    >>> estimate.state[0].shape.as_list()  # scale, temperature, 2 * (3 + 1 + 1) weights
    [12]
    """

    hidden: int = 8

    def check(self, problem):
        del problem  # it serves every reward
        refuse_replicas("relax")

    def first_parameters(self):
        rng = np.random.default_rng(0)
        inner = rng.normal(size=[4 * self.hidden])
        # The network starts as zero, so that RELAX starts as REBAR.
        return np.concatenate([super().first_parameters(), inner, np.zeros(self.hidden)]).astype(
            np.float32
        )

    def control(self, problem: Problem, z: Tensor, parameters: Tensor) -> Tensor:
        K = problem.batch.logits.shape[-1]
        relaxed = tf.nn.softmax(z)
        probs = tf.broadcast_to(problem.probs, tf.shape(relaxed))
        place = tf.broadcast_to(tf.range(K, dtype=tf.float32) / (K - 1.0), tf.shape(relaxed))
        inputs = tf.stack([relaxed, probs, place, tf.ones_like(relaxed)], axis=-1)
        inner = tf.reshape(parameters[2 : 2 + 4 * self.hidden], [4, self.hidden])
        outer = parameters[2 + 4 * self.hidden :]
        units = tf.tanh(tf.tensordot(inputs, inner, 1))
        network = tf.reduce_sum(tf.tensordot(units, outer, 1), axis=-1)
        learned = tf.reduce_mean(network, axis=[1, 2])
        if not problem.bound.has_soft_score:
            return learned
        return learned + super().control(problem, z, parameters)
