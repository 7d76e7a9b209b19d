"""What a trained model's outputs are: logits, or probabilities of a final activation."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.losses.base import SiteLoss
from policygrad_metrics.policies import Policy, get_policy
from policygrad_metrics.policies.reading import resolve_policy

_FINAL = (keras.activations.softmax, keras.activations.sigmoid)


def final_activation(model: keras.Model) -> keras.layers.Layer | None:
    """Return the layer whose softmax or sigmoid turns the model's logits into probabilities.

    None if the last layer has no such activation, or if it is not known because the model is
    subclassed. Nested models are looked into.

    >>> model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3, "softmax")])
    >>> final_activation(model) is model.layers[-1]
    True
    """
    last = last_layer(model)
    return last if getattr(last, "activation", None) in _FINAL else None


def last_layer(model: keras.Model) -> Any:
    """Return the layer that makes the model's output, None if the model is subclassed.

    >>> last_layer(keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(3)])).units
    3
    """
    if not getattr(model, "outputs", None):
        return None
    sequential = isinstance(model, keras.Sequential)
    last = model.layers[-1] if sequential else model.get_layer(model.output_names[0])
    return last_layer(last) if isinstance(last, keras.Model) else last


def model_policy(policy: str | Policy, model: Any, y_true: Any, outputs: Any) -> Policy:
    """Return the policy, for "auto" that of the model's compiled loss or of its shapes.

    Args:
        policy: a policy, its name, or "auto".
        model: the model; its loss is read if it is one of this package's.
        y_true: the truth, or None if there is none at hand.
        outputs: the model's outputs.

    Raises:
        ValueError: the model has several outputs, or the shapes leave the policy open.
    """
    if not tf.is_tensor(outputs):
        raise ValueError(
            f"the model must have one output; it returns {type(outputs).__name__}. Build a model "
            "of the output in question: keras.Model(model.inputs, model.outputs[i])."
        )
    loss = getattr(model, "loss", None)
    if policy == "auto" and isinstance(loss, SiteLoss):
        policy = loss.policy
    truth = tf.zeros([len(outputs)]) if y_true is None else tf.convert_to_tensor(y_true)
    return resolve_policy(policy, truth, outputs) if policy == "auto" else get_policy(policy)
