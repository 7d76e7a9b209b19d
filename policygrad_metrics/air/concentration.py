"""Networks that forecast the concentration itself, and the losses they are trained on.

The location is where the concentration was last (at horizon 0: its mean), plus what the network
adds; noise around it, on the logarithm, makes the level probabilities. So a level is forecast
and a concentration too, from one network.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.air import ForecastTask
from policygrad_metrics.air.cases import ForecastCases
from policygrad_metrics.data import Prepared
from policygrad_metrics.losses.policy_gradient import DEFAULT_CROSS_ENTROPY, PolicyGradientLoss
from policygrad_metrics.losses.surrogate import SurrogateLoss
from policygrad_metrics.policies import BinnedRegression
from policygrad_metrics.study.evaluate import Outcome, probabilities
from policygrad_metrics.study.train import Head
from policygrad_metrics.surrogates.steps import staircase_steps, tanh_steps
from policygrad_metrics.training import Trained

#: Scale of the noise while a loss without noise trains. It is small, so that the most probable
#: level is that of the location itself, except very near an edge.
_THIN = 0.05
#: Where a network starts: small changes to the last value, noise of a third of the spread.
_SMALL, _START_OF_SCALE = 0.01, -1.0


@dataclasses.dataclass(frozen=True)
class ConcentrationMethod:
    """One way to train a concentration network.

    Args:
        summary: One line.
        loss: `(reward, policy) -> loss(y_true, outputs)`.
        learns_noise: Whether the loss trains the noise's scale; else it is measured on the
            validation part afterwards.
    """

    summary: str
    loss: Callable[[str, BinnedRegression], Callable[..., Any]]
    learns_noise: bool = True


def _policy_gradient(**terms: Any) -> Callable[[str, BinnedRegression], Callable[..., Any]]:
    return lambda reward, policy: PolicyGradientLoss(reward, policy, **terms)


def _likelihood(reward: str, policy: BinnedRegression) -> Callable[..., Any]:
    del reward
    return lambda y_true, outputs: -tf.reduce_mean(policy.log_density(y_true, outputs))


def _on_location(function: Callable[..., Any]) -> Callable[..., Any]:
    """A loss of truth and location in the policy's units, `[N]` each."""

    def of_policy(reward: str, policy: BinnedRegression) -> Callable[..., Any]:
        del reward
        edges = policy.outputs_at(np.asarray(policy.edges)).numpy().tolist()

        def loss(y_true, outputs):
            return function(policy.outputs_at(y_true), outputs[:, 0], edges)

        return loss

    return of_policy


def _keras(function: Any) -> Callable[..., Any]:
    return lambda truth, location, edges: tf.reduce_mean(
        function(truth[:, None], location[:, None])
    )


def _steps(function: Any, sharpness: float) -> Callable[..., Any]:
    def loss(truth, location, edges):
        weight = tf.ones_like(location)
        return function(truth, location, weight, edges=edges, sharpness=sharpness)

    return loss


METHODS: dict[str, ConcentrationMethod] = {
    "concentration_cross_entropy": ConcentrationMethod(
        "cross-entropy over the levels of a forecast concentration",
        lambda reward, policy: SurrogateLoss("cross_entropy", policy),
    ),
    "concentration_likelihood": ConcentrationMethod(
        "likelihood of the concentration, then levels", _likelihood
    ),
    "concentration_policy_gradient": ConcentrationMethod(
        "the reward of a forecast concentration's levels, plus cross-entropy",
        _policy_gradient(cross_entropy=DEFAULT_CROSS_ENTROPY),
    ),
    "concentration_policy_gradient_likelihood": ConcentrationMethod(
        "the reward of a forecast concentration's levels, plus the concentration's likelihood",
        _policy_gradient(cross_entropy=0.0, log_likelihood=DEFAULT_CROSS_ENTROPY),
    ),
    "concentration_mse": ConcentrationMethod(
        "squared error of the log concentration, then levels",
        _on_location(_keras(keras.losses.mean_squared_error)),
        learns_noise=False,
    ),
    "concentration_mae": ConcentrationMethod(
        "absolute error of the log concentration, then levels",
        _on_location(_keras(keras.losses.mean_absolute_error)),
        learns_noise=False,
    ),
    "concentration_huber": ConcentrationMethod(
        "squared error of the log concentration, linear beyond 1, then levels",
        _on_location(_keras(keras.losses.huber)),
        learns_noise=False,
    ),
    "concentration_tanh_steps": ConcentrationMethod(
        "smooth steps at the levels of a forecast concentration",
        _on_location(_steps(tanh_steps, sharpness=10.0)),
        learns_noise=False,
    ),
    "concentration_staircase_steps": ConcentrationMethod(
        "a sigmoid staircase over the levels of a forecast concentration",
        _on_location(_steps(staircase_steps, sharpness=5.0)),
        learns_noise=False,
    ),
}


@dataclasses.dataclass(frozen=True)
class ConcentrationNetwork:
    """Dense layers; the last input column is where the location starts from.

    Args:
        hidden: Width of each hidden layer.
        dropout: Share of the units dropped after each.
    """

    hidden: tuple[int, ...] = (64, 64)
    dropout: float = 0.0

    def build(self, features: int, outputs: int, seed: int) -> keras.Model:
        """Build the model; equal seeds give equal weights and equal dropout."""
        seeds = np.random.SeedSequence(seed).generate_state(2 * len(self.hidden) + 1).tolist()
        inputs: Any = keras.Input((features,))
        values = inputs[:, :-1]
        for layer, width in enumerate(self.hidden):
            start: Any = keras.initializers.GlorotUniform(seeds[2 * layer])
            values = keras.layers.Dense(width, "relu", kernel_initializer=start)(values)
            if self.dropout:
                values = keras.layers.Dropout(self.dropout, seed=seeds[2 * layer + 1])(values)
        small: Any = keras.initializers.RandomNormal(stddev=_SMALL, seed=seeds[-1])
        added = keras.layers.Dense(outputs, kernel_initializer=small)(values)
        location = inputs[:, -1:] + added[:, :1]
        if outputs == 1:
            return keras.Model(inputs, location)
        scale = added[:, 1:] + _START_OF_SCALE
        return keras.Model(inputs, keras.layers.Concatenate()([location, scale]))


def concentration_policy(task: ForecastTask, method: ConcentrationMethod) -> BinnedRegression:
    """Return the policy of a task: levels of its scale, noise on the logarithm.

    Center and unit are mean and deviation of the training part's logarithms.
    """
    logs = np.log1p(task.concentration[task.parts.train])
    unit = float(logs.std()) or 1.0
    return BinnedRegression.for_scale(
        task.scale,
        task.pollutant,
        logarithm=True,
        center=float(logs.mean()),
        unit=unit,
        noise="logistic" if method.learns_noise else "normal",
        noise_scale=None if method.learns_noise else _THIN * unit,
    )


def concentration_head(record: ConcentrationMethod, cases: ForecastCases) -> Head:
    """Return what the study trains: a network that learns concentrations from where each was last.

    Args:
        record: The method.
        cases: What is forecast, and the width of the network.
    """
    task, settings = cases.task, cases.settings
    policy = concentration_policy(task, record)
    start = np.zeros(len(task.hours), np.float32)
    if task.horizon:
        start = policy.outputs_at(task.last_known).numpy()

    def parts(arrays: Prepared) -> Any:
        made = {}
        for name in ("train", "valid", "test"):
            rows = getattr(task.parts, name)
            made[f"x_{name}"] = np.hstack([getattr(arrays, f"x_{name}"), start[rows, None]])
            made[f"y_{name}"] = task.concentration[rows]
        return types.SimpleNamespace(**made)

    def reads(one: Trained) -> BinnedRegression:
        if record.learns_noise:
            return policy
        y_valid = task.concentration[task.parts.valid]
        return with_measured_noise(policy, one.valid_outputs, y_valid)

    def read(one: Trained) -> Outcome:
        own = reads(one)
        valid, test = (
            probabilities(own.logits(outputs).numpy(), "ordinal")
            for outputs in (one.valid_outputs, one.test_outputs)
        )
        return Outcome(valid, test, np.maximum(own.location(one.test_outputs).numpy(), 0.0))

    loss = record.loss(cases.reward, policy)
    network = ConcentrationNetwork(settings.hidden, settings.dropout)
    return Head(network, lambda info, hyper: loss, read, parts, policy, reads)


def with_measured_noise(
    policy: BinnedRegression, valid_outputs: np.ndarray, y_valid: np.ndarray
) -> BinnedRegression:
    """Return the policy with the noise that the validation part shows, its root mean square."""
    away = policy.outputs_at(y_valid).numpy() - valid_outputs[:, 0]
    spread = float(np.sqrt(np.mean(away**2)))
    return dataclasses.replace(policy, scale=max(spread, 1e-3) * policy.unit)
