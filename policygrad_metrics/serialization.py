"""Rewards as plain values that Keras can save, functions of your own included (floor 2)."""

from __future__ import annotations

from typing import Any

import keras

from policygrad_metrics import rewards
from policygrad_metrics._checks import choose
from policygrad_metrics.rewards import Reward


def serialize_reward(reward: Reward) -> dict[str, Any]:
    """A reward's class and fields.

    Functions are saved as Keras saves them: by name if they are registered with
    `keras.saving.register_keras_serializable`, so that loading finds them again.

    >>> from policygrad_metrics.rewards import get_reward
    >>> serialize_reward(get_reward("accuracy"))
    {'class': 'Accuracy', 'config': {'multilabel': False}}
    """
    config = {
        key: keras.saving.serialize_keras_object(value) if callable(value) else value
        for key, value in reward.get_config().items()
    }
    return {"class": type(reward).__name__, "config": config}


def deserialize_reward(reward: Any) -> Any:
    """The inverse of `serialize_reward`; anything else comes back as it is.

    >>> from policygrad_metrics.rewards import get_reward
    >>> deserialize_reward(serialize_reward(get_reward("f2_macro"))) == get_reward("f2_macro")
    True
    """
    if not (isinstance(reward, dict) and set(reward) == {"class", "config"}):
        return reward
    known = {c.__name__: c for c in vars(rewards).values() if isinstance(c, type)}
    config = {
        key: keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
        for key, value in reward["config"].items()
    }
    return known[choose("reward", reward["class"], known)].from_config(config)
