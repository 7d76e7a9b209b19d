"""A trained network for TensorFlow Serving: preparation, network and decision in one.

The inputs are the columns of the table, one value for each row: numbers (NaN = missing) and texts
("" = missing). Outputs are those of `saving.DecisionLayer`.
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from policygrad_metrics.core import durable
from policygrad_metrics.core.batch import Tensor
from policygrad_metrics.data import Preparation
from policygrad_metrics.data.prepare import LIMIT
from policygrad_metrics.saving import DecisionLayer
from policygrad_metrics.study.trained.decider import Decider
from policygrad_metrics.study.trained.models import Networks
from policygrad_metrics.study.trained.table import TrainedTable

_EXAMPLE = "example_request.json"


class Served(tf.Module):
    """A decider of networks as a TensorFlow module without Python.

    Args:
        decider: The decider.
    """

    def __init__(self, decider: Decider):
        super().__init__()
        self.serve: Any = None
        networks: Any = decider.models
        self.networks = networks.models
        self._preparation = decider.preparation
        policy = "sigmoid" if decider.task in ("binary", "multilabel") else "softmax"
        single = len(self.networks) == 1
        self._squash = tf.nn.sigmoid if policy == "sigmoid" else tf.nn.softmax
        self.decision = DecisionLayer(policy, decider.rule, from_logits=single)

    def answer(self, columns: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return labels and probabilities of columns `[N]`."""
        return self.of_features(prepared(self._preparation, columns))

    def of_features(self, x: Tensor) -> dict[str, Tensor]:
        """Return labels and probabilities of prepared features `[N, F]`."""
        outputs = [network(x, training=False) for network in self.networks]
        if len(outputs) == 1:
            return self.decision(outputs[0])
        return self.decision(tf.add_n([self._squash(one) for one in outputs]) / len(outputs))


def prepared(preparation: Preparation, columns: dict[str, Tensor]) -> Tensor:
    """Return what `preparation.features` returns, in TensorFlow.

    Args:
        preparation: The preparation.
        columns: Feature -> values `[N]`, float64 or texts.
    """
    blocks = []
    if preparation.numeric_names:
        raw = tf.stack([columns[name] for name in preparation.numeric_names], axis=1)
        unknown = ~tf.math.is_finite(raw)
        filled = tf.where(unknown, tf.constant(preparation.medians, tf.float64), raw)
        gaps = tf.gather(tf.cast(unknown, tf.float64), np.array(preparation.gaps, int), axis=1)
        places = range(len(preparation.numeric_names))
        heavy = np.array([place in preparation.sizes for place in places])
        sizes = np.array([preparation.sizes.get(place, 1.0) for place in places])
        tamed = tf.where(heavy, tf.sign(filled) * tf.math.log1p(tf.abs(filled) / sizes), filled)
        both = tf.concat([tamed, gaps], axis=1)
        blocks.append((both - np.array(preparation.means)) / np.array(preparation.scales))
    for name, texts in zip(preparation.categorical_names, preparation.texts, strict=True):
        blocks.append(tf.cast(columns[name][:, None] == tf.constant([*texts])[None], tf.float64))
    return tf.cast(tf.clip_by_value(tf.concat(blocks, axis=1), -LIMIT, LIMIT), tf.float32)


def export(model: TrainedTable, out: Path, format: str = "tf") -> Path:
    """Write the model for serving and return the path of what was written.

    Args:
        model: The model; of networks.
        out: A folder. Each export is the next version below it, as TensorFlow Serving wants them;
            a file in it shows a request.
        format: "tf", or "onnx" for the network alone, from prepared features to outputs.

    Raises:
        ValueError: These are trees, or tf2onnx is not installed or cannot do it.
    """
    if not isinstance(model.decider.models, Networks):
        raise ValueError(
            "trees are no TensorFlow model: trees.txt is LightGBM's own text, which every LightGBM "
            "reads; serve TrainedTable.load(folder).predict, or train a network (--method "
            "policy_gradient)."
        )
    served = Served(model.decider)
    out.mkdir(parents=True, exist_ok=True)
    if format == "onnx":
        return _onnx(model, served, out)
    preparation, schema = model.decider.preparation, model.schema
    features = (*preparation.numeric_names, *preparation.categorical_names)
    inputs = dict(zip(features, input_names(schema.features), strict=True))
    types = dict.fromkeys(preparation.numeric_names, tf.float64)
    specs = {
        inputs[name]: tf.TensorSpec([None], types.get(name, tf.string), inputs[name])
        for name in features
    }

    def serve(columns):
        return served.answer({name: columns[inputs[name]] for name in features})

    function = tf.function(serve, input_signature=[specs], autograph=False)
    versions = [int(path.name) for path in out.iterdir() if path.name.isdecimal()]
    written = out / str(max(versions, default=0) + 1)
    served.serve = function
    tf.saved_model.save(served, str(written), signatures=function.get_concrete_function())
    row = {inputs[name]: median for name, median in zip(features, preparation.medians)}  # noqa: B905 - texts follow
    row |= {
        inputs[name]: texts[0]
        for name, texts in zip(preparation.categorical_names, preparation.texts, strict=True)
    }
    request = json.dumps({"instances": [row]}, indent=1)
    durable.write_atomically(out / _EXAMPLE, request.encode())
    return written


def input_names(columns: tuple[str, ...]) -> list[str]:
    """Return names of columns as TensorFlow takes them, which differ from each other.

    >>> input_names(("PM2.5 (ug/m3)", "PM2.5_(ug/m3)", "hour"))
    ['PM2.5__ug_m3_', 'PM2.5__ug_m3__2', 'hour']
    """
    found: list[str] = []
    for column in columns:
        plain = re.sub(r"[^A-Za-z0-9_.]", "_", column)
        plain = plain if re.match("[A-Za-z]", plain) else f"c{plain}"
        name, number = plain, 1
        while name in found:
            number += 1
            name = f"{plain}_{number}"
        found.append(name)
    return found


def _onnx(model: TrainedTable, served: Served, out: Path) -> Path:
    if not find_spec("tf2onnx"):
        raise ValueError(
            "format='onnx' (--format onnx) needs tf2onnx: pip install tf2onnx; or leave the "
            "option out for TensorFlow's own format."
        )
    inputs: Any = keras.Input((len(model.decider.preparation.feature_names),))
    outputs: Any = [network(inputs) for network in served.networks]
    both = outputs[0] if len(outputs) == 1 else keras.layers.Average()(outputs)
    path = out / "model.onnx"
    try:
        keras.Model(inputs, both).export(path, format="onnx", verbose=False)
    except Exception as error:  # whatever tf2onnx raises for a version it does not know
        raise ValueError(
            f"tf2onnx cannot write this model: {error}. Use TensorFlow's own format (without "
            "--format)."
        ) from error
    return path
