"""A trained network for TensorFlow Serving or in ONNX: preparation, network and decision in one.

The inputs are the columns of the table, one value for each row: numbers (NaN = missing) and texts
("" = missing). Outputs are those of `saving.DecisionLayer`. tf2onnx writes all of an ONNX file but
the comparison with known texts, for which ONNX has an operation of its own, `OneHotEncoder`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from policygrad_metrics.core import durable
from policygrad_metrics.study.trained.models import Networks
from policygrad_metrics.study.trained.served import Served
from policygrad_metrics.study.trained.table import TrainedTable

_EXAMPLE = "example_request.json"


def export_table(model: TrainedTable, out: Path, format: str = "tf") -> Path:
    """Write the model for serving and return the path of what was written.

    Args:
        model: The model; of networks.
        out: A folder. Each export is the next version below it, as TensorFlow Serving wants them;
            a file in it shows a request.
        format: "tf", or "onnx" for `model.onnx` with the same inputs and outputs.

    Raises:
        FileExistsError: There is a file in the folder's place.
        ValueError: These are trees, or tf2onnx is not installed or cannot do it.
    """
    if not isinstance(model.decider.models, Networks):
        raise ValueError(
            "trees are no TensorFlow model: trees.txt is LightGBM's own text, which every LightGBM "
            "reads; serve TrainedTable.load(folder).predict, or train a network (--method "
            "policy_gradient)."
        )
    durable.refuse_unwritable(out)
    served = Served(model.decider)
    preparation, schema = model.decider.preparation, model.schema
    features = (*preparation.numeric_names, *preparation.categorical_names)
    inputs = dict(zip(features, input_names(schema.features), strict=True))
    out.mkdir(parents=True, exist_ok=True)
    if format == "onnx":
        written = out / "model.onnx"
        write_onnx(served, inputs, written)
    else:
        versions = [int(path.name) for path in out.iterdir() if path.name.isdecimal()]
        written = out / str(max(versions, default=0) + 1)
        _write_saved_model(served, inputs, written)
    numbers = zip(preparation.numeric_names, preparation.medians, strict=True)
    texts = zip(preparation.categorical_names, preparation.texts, strict=True)
    row = dict(numbers) | {name: known[0] for name, known in texts}
    request = {"instances": [{inputs[name]: value for name, value in row.items()}]}
    durable.write_atomically(out / _EXAMPLE, json.dumps(request, indent=1).encode())
    return written


def _write_saved_model(served: Served, inputs: dict[str, str], written: Path) -> None:
    texts = served.preparation.categorical_names
    specs = {
        name: tf.TensorSpec([None], tf.string if column in texts else tf.float64, name)
        for column, name in inputs.items()
    }

    def serve(columns):
        return served.answer({column: columns[name] for column, name in inputs.items()})

    # tf.saved_model.save would leave out how TensorFlow Serving fills Keras's variables.
    archive: Any = keras.export.ExportArchive()
    for network in served.networks:
        archive.track(network)
    archive.add_endpoint("serve", serve, input_signature=[specs])
    archive.write_out(str(written), verbose=False)


def input_names(columns: tuple[str, ...]) -> list[str]:
    """Return names of columns as TensorFlow takes them, which differ by more than case.

    >>> input_names(("PM2.5 (ug/m3)", "pm2.5_(ug/m3)", "hour"))
    ['PM2.5__ug_m3_', 'pm2.5__ug_m3__2', 'hour']
    """
    found: list[str] = []
    for column in columns:
        plain = re.sub(r"[^A-Za-z0-9_.]", "_", column)
        plain = plain if re.match("[A-Za-z]", plain) else f"c{plain}"
        name, number = plain, 1
        while name.lower() in map(str.lower, found):
            number += 1
            name = f"{plain}_{number}"
        found.append(name)
    return found


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
