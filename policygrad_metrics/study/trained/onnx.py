"""A trained network in ONNX: preparation, network and decision in one file.

tf2onnx writes all of it but the comparison with known texts, for which ONNX has an operation of its
own, `OneHotEncoder`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import tensorflow as tf

from policygrad_metrics.core import durable
from policygrad_metrics.study.trained.served import Served


def write_onnx(served: Served, inputs: Mapping[str, str], path: Path) -> None:
    """Write a model whose inputs are the columns of the table.

    Args:
        served: The model.
        inputs: Column -> name of the input.
        path: The file.

    Raises:
        ValueError: tf2onnx is not installed, or cannot write the model.
    """
    try:
        onnx: Any = import_module("onnx")
        tf2onnx: Any = import_module("tf2onnx")
    except ImportError as error:
        raise ValueError(
            f"format='onnx' (--format onnx) needs tf2onnx and onnx ({error}): "
            "pip install 'policygrad_metrics[onnx]'; or leave the option out for TensorFlow's own "
            "format."
        ) from error
    kept = served.preparation
    numbers = [inputs[name] for name in kept.numeric_names]
    texts = {inputs[n]: known for n, known in zip(kept.categorical_names, kept.texts, strict=True)}
    specs = [tf.TensorSpec([None], tf.float64, name) for name in numbers]
    specs += [tf.TensorSpec([None, len(known)], name=name) for name, known in texts.items()]

    def serve(*columns):
        return served.of_blocks(columns[: len(numbers)], columns[len(numbers) :])

    function = tf.function(serve, input_signature=specs, autograph=False)
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # what fails is told below
    try:
        model, _ = tf2onnx.convert.from_function(function, specs)
        for name, known in texts.items():
            _read_texts(onnx, model.graph, name, known)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # whatever they raise for what they do not know
        raise ValueError(
            f"tf2onnx {tf2onnx.__version__} cannot write this model: {str(error).splitlines()[0]}. "
            "Use TensorFlow's own format (without --format)."
        ) from error
    durable.write_atomically(path, model.SerializeToString())


def _read_texts(onnx: Any, graph: Any, name: str, known: tuple[str, ...]) -> None:
    """Let an input be texts `[N]` instead of which of the known ones it is, `[N, T]`."""
    (column,) = (one for one in graph.input if one.name == name)
    compared = f"{name}/known"
    for node in graph.node:
        node.input[:] = [compared if one == name else one for one in node.input]
    column.CopyFrom(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.STRING, ["rows"]))
    encoder = onnx.helper.make_node(
        "OneHotEncoder", [name], [compared], domain="ai.onnx.ml", cats_strings=[*known], zeros=1
    )
    graph.node.insert(0, encoder)
