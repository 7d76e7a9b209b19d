"""Rewards and estimators as plain values that Keras can save, own functions included."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from policygrad_metrics import rewards
from policygrad_metrics.core.checks import choose
from policygrad_metrics.estimators import Estimator, estimator_config
from policygrad_metrics.rewards import Constraint, Reward


def serialize_reward(reward: Reward) -> dict[str, Any]:
    """A reward's class and fields.

    Functions are saved as Keras saves them: by name if they are registered with
    `keras.saving.register_keras_serializable`, so that loading finds them again.

    >>> from policygrad_metrics.rewards import get_reward
    >>> serialize_reward(get_reward("accuracy"))
    {'class': 'Accuracy', 'config': {'multilabel': False}}
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Reward):
            return serialize_reward(value)
        return keras.saving.serialize_keras_object(value) if callable(value) else value

    config = {key: plain(value) for key, value in reward.get_config().items()}
    return {"class": type(reward).__name__, "config": config}


def deserialize_reward(reward: Any) -> Any:
    """The inverse of `serialize_reward`; anything else comes back as it is.

    >>> from policygrad_metrics.rewards import get_reward
    >>> deserialize_reward(serialize_reward(get_reward("f2_macro"))) == get_reward("f2_macro")
    True
    """
    if not (isinstance(reward, dict) and set(reward) == {"class", "config"}):
        return reward
    known = {name: getattr(rewards, name) for name in rewards.__all__}
    config = {
        key: keras.saving.deserialize_keras_object(value)
        if isinstance(value, dict) and "class_name" in value
        else deserialize_reward(value)
        for key, value in reward["config"].items()
    }
    return known[choose("reward", reward["class"], known)].from_config(config)


def serialize_constraint(constraint: Constraint) -> dict[str, Any]:
    """A constraint's fields.

    >>> from policygrad_metrics.rewards import at_least
    >>> serialize_constraint(at_least("accuracy", 0.9))["bound"]
    0.9
    """
    plain = {
        field.name: getattr(constraint, field.name) for field in dataclasses.fields(constraint)
    }
    return {**plain, "reward": serialize_reward(constraint.reward)}


def deserialize_constraints(subject_to: Any) -> Any:
    """The inverse of `serialize_constraint` for each of several; anything else as it is.

    >>> from policygrad_metrics.rewards import at_least
    >>> floor = at_least("accuracy", 0.9)
    >>> deserialize_constraints([serialize_constraint(floor)]) == [floor]
    True
    """
    if not isinstance(subject_to, list):
        return subject_to
    return [
        Constraint(**{**one, "reward": deserialize_reward(one["reward"])})
        if isinstance(one, dict)
        else one
        for one in subject_to
    ]


def serialize_estimator(estimator: str | Estimator) -> Any:
    """An estimator's name and settings, rewards among them as `serialize_reward` has them.

    >>> from policygrad_metrics.estimators import ControlVariate
    >>> serialize_estimator(ControlVariate("f1_macro"))["config"]["proxy"]
    'f1_macro'
    """
    plain = estimator if isinstance(estimator, str) else estimator_config(estimator)
    if not isinstance(plain, Mapping):
        return plain
    config = {key: _plain(value) for key, value in plain["config"].items()}
    return {**plain, "config": config}


def deserialize_estimator(estimator: Any) -> Any:
    """The inverse of `serialize_estimator`, for `get_estimator`; anything else as it is.

    >>> from policygrad_metrics.estimators import ControlVariate, get_estimator
    >>> estimator = ControlVariate("f1_macro", samples=4)
    >>> get_estimator(deserialize_estimator(serialize_estimator(estimator))) == estimator
    True
    """
    if not isinstance(estimator, Mapping):
        return estimator
    config = {
        key: [deserialize_reward(one) for one in value]
        if isinstance(value, list | tuple)
        else deserialize_reward(value)
        for key, value in estimator["config"].items()
    }
    return {**estimator, "config": config}


def plain_number(value: Any) -> float:
    """A number to save, of a number, a constant or a variable.

    >>> plain_number(keras.Variable(0.5))
    0.5
    """
    number: Any = keras.ops.convert_to_numpy(value)
    return float(number)


def _plain(value):
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return serialize_reward(value) if isinstance(value, Reward) else value
