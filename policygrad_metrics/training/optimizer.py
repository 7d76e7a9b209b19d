"""Keras's optimizers as pure functions: (state, gradient, weights) -> (weights, state)."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core._compat import without_variables
from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.core.checks import check_number, choose
from policygrad_metrics.training.weights import Layout

Schedule = keras.optimizers.schedules.LearningRateSchedule

_OPTIMIZER = keras.optimizers.Optimizer
#: Optimizers that treat every number of the weights by itself, so that all are one row to them.
_BY_NUMBER = {
    *("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam", "RMSprop", "SGD"),
}

#: Optimizers that need more than the weights and a gradient.
_UNFIT = {
    "LossScaleOptimizer": "scales the loss, for weights of half precision; these are float32",
    "MultiOptimizer": "holds several optimizers: give one of them",
    "ScheduleFreeAdamW": "has other weights for validation than for training: use AdamW",
}


def configured(
    optimizer: Any, learning_rate: float | Schedule | None = None
) -> keras.optimizers.Optimizer:
    """A new Keras optimizer as asked for.

    Args:
        optimizer: a name such as "adam"; an instance, of which the configuration counts
            (`get_config`) and neither state nor weights; or what `as_text` made of one.
        learning_rate: a positive number or a schedule; None for the optimizer's own.

    Raises:
        ValueError: no such optimizer, a learning rate that is no positive number, or an optimizer
            that needs more than weights and a gradient.

    >>> float(configured("adamw", 0.5).learning_rate)
    0.5
    >>> configured("adamv")
    Traceback (most recent call last):
    ValueError: optimizer='adamv' is not known; did you mean 'adam'? Allowed: ...
    """
    kinds: dict[str, Any] = {
        name.lower(): kind
        for name, kind in vars(keras.optimizers).items()
        if isinstance(kind, type)
        and issubclass(kind, _OPTIMIZER)
        and name not in ("Optimizer", *_UNFIT)
    }
    if isinstance(optimizer, str) and optimizer.startswith("{"):
        optimizer = _from_text(optimizer)
    if isinstance(optimizer, _OPTIMIZER):
        kind, config = type(optimizer), optimizer.get_config()
    else:
        name = optimizer.lower() if isinstance(optimizer, str) else optimizer
        kind = kinds[choose("optimizer", name, kinds)]
        config = kind().get_config()
    if isinstance(learning_rate, Schedule):
        config["learning_rate"] = keras.optimizers.schedules.serialize(learning_rate)
    elif learning_rate is not None:
        check_number("learning_rate", learning_rate)
        config["learning_rate"] = float(learning_rate)
    _check_fit(kind, config)
    return kind.from_config(config)


def as_text(optimizer: str | keras.optimizers.Optimizer) -> str:
    """An optimizer as one line of JSON, for settings that are written down; a name as it is.

    >>> as_text("sgd"), as_text(keras.optimizers.SGD(0.5))[:12]
    ('sgd', '{"class_name')
    """
    if isinstance(optimizer, str):
        return optimizer
    return json.dumps(keras.optimizers.serialize(configured(optimizer)), sort_keys=True)


def own_rate(optimizer: str, learning_rate: float) -> float | None:
    """The learning rate to start from: the one given, if the optimizer is a name, else its own.

    None for a schedule.

    >>> own_rate("sgd", 0.25), own_rate(as_text(keras.optimizers.SGD(0.5)), 0.25)
    (0.25, 0.5)
    """
    return read_optimizer(optimizer)[1] if optimizer.startswith("{") else learning_rate


@dataclasses.dataclass(frozen=True)
class Rule:
    """How an optimizer updates weights, whatever its learning rate if that is a number.

    Args:
        kind: the optimizer's class.
        config: its configuration as JSON.
    """

    kind: type[keras.optimizers.Optimizer]
    config: str

    def build(self) -> keras.optimizers.Optimizer:
        """An optimizer whose `stateless_apply` works."""
        return without_variables(self.kind).from_config(json.loads(self.config))


def read_optimizer(
    optimizer: Any, learning_rate: float | Schedule | None = None
) -> tuple[Rule, float | None]:
    """The rule, and the learning rate if it is a number; arguments and errors as `configured`.

    >>> rule, rate = read_optimizer("sgd", 0.5)
    >>> rule == read_optimizer("sgd", 0.25)[0], rate
    (True, 0.5)
    """
    made = configured(optimizer, learning_rate)
    config, rate = made.get_config(), None
    config["name"] = "optimizer"  # Keras numbers the instances
    if not isinstance(config["learning_rate"], dict):
        rate, config["learning_rate"] = float(config["learning_rate"]), 1.0
    return Rule(type(made), json.dumps(config, sort_keys=True)), rate


class Update:
    """An optimizer's update of all weights of a network, as a function of plain arrays.

    Args:
        rule: the optimizer.
        network: the weights' shapes, names and constraints are read.
    """

    def __init__(self, rule: Rule, network: keras.Model):
        self._optimizer = rule.build()
        self._layout = Layout(network)
        variables = network.trainable_variables
        self._by_number = (
            rule.kind.__module__.startswith("keras.")
            and rule.kind.__name__ in _BY_NUMBER
            and self._optimizer.clipnorm is None
            and all(v.constraint is None for v in variables)
        )
        if self._by_number:  # a tenth of the operations
            variables = [keras.Variable(np.zeros(self._layout.size, np.float32))]
        self._optimizer.build(variables)
        rate = self._optimizer.learning_rate
        self._rate = [v is rate for v in self._optimizer.variables]

    def initial(self, learning_rate: float | None) -> list[np.ndarray]:
        """The optimizer's variables before the first step.

        Args:
            learning_rate: None for a schedule.
        """
        first = [np.asarray(v.value) for v in self._optimizer.variables]
        return self.with_rate(first, learning_rate)

    def with_rate(self, state: list[Any], learning_rate: float | None) -> list[Any]:
        """The same state with another learning rate; a schedule stays.

        Raises:
            ValueError: a number is given and the optimizer has a schedule.
        """
        if learning_rate is None:
            return list(state)
        if not any(self._rate):
            raise ValueError(
                f"learning_rate={learning_rate!r} cannot replace the optimizer's schedule: leave "
                "it None, or give an optimizer without a schedule."
            )
        rate = np.float32(learning_rate)
        return [rate if here else v for v, here in zip(state, self._rate, strict=True)]

    def __call__(
        self, state: list[Tensor], gradient: Tensor, weights: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """The weights `[P]` and the state after one step."""
        split = (lambda row: [row]) if self._by_number else self._layout.split
        found: Any
        found, state = self._optimizer.stateless_apply(state, split(gradient), split(weights))
        parts = [tf.reshape(part, [-1]) for part in found]
        return tf.concat(parts, axis=0), [tf.convert_to_tensor(value) for value in state]


def _from_text(text):
    try:
        return keras.optimizers.deserialize(json.loads(text))
    except Exception as error:
        raise ValueError(
            f"optimizer must be a name such as adamw, or the JSON of keras.optimizers.serialize; "
            f"this JSON is of no optimizer that Keras knows: {error}."
        ) from error


def _check_fit(kind, config):
    """Raise if the optimizer does something else than update weights after each step."""
    wrong = _UNFIT.get(kind.__name__)
    if config.get("gradient_accumulation_steps"):
        wrong = "sums gradients over steps: make batch_size larger instead"
    elif config.get("use_ema") and not config.get("ema_overwrite_frequency"):
        wrong = "averages weights that are never used: give it an ema_overwrite_frequency"
    if wrong:
        raise ValueError(f"optimizer {kind.__name__} {wrong}.")
