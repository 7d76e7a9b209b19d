"""`load_model`: a saved Keras model with this package's losses, metrics and layers."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

# Keras finds a class by its registered name only once its module has been imported.
from policygrad_metrics.losses import policy_gradient as losses
from policygrad_metrics.saving import serving
from policygrad_metrics.surrogates import activations

_REGISTERED = (activations, losses, serving)


def load_model(
    path: str | Path,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> keras.Model:
    """Load a `.keras` file, with the loss, metrics, policies and decisions it was saved with.

    `keras.saving.load_model` knows this package's classes too, where the package was imported;
    `load_model` also says what is wrong with a file.

    Args:
        path: a file that `model.save("name.keras")` wrote.
        custom_objects: name -> class or function of your own that is not registered with
            `keras.saving.register_keras_serializable`.
        compile: whether to restore loss, metrics and optimizer too.
        safe_mode: as in Keras: refuse files that hold Python code, such as lambda functions.
            False runs such code: only for files that you trust.

    Returns:
        The model, ready for `fit`, `evaluate` and `predict`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no `.keras` file or a torn one, it holds Python code (safe mode), or
            tf_keras (Keras 2) wrote it.
        TypeError: it needs classes or functions of your own that are unknown; Keras names them.

    >>> import keras, pathlib, tempfile, policygrad_metrics as pgm
    >>> model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss=pgm.PolicyGradientLoss("f1"))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(pathlib.Path(folder) / "model.keras")
    ...     pgm.load_model(pathlib.Path(folder) / "model.keras").loss.reward.name
    'f1'
    """
    path = Path(path)
    _check_file(path)
    model: Any = keras.saving.load_model(
        path, custom_objects=dict(custom_objects or {}), compile=compile, safe_mode=safe_mode
    )
    return model


def _check_file(path: Path) -> None:
    if not path.exists():
        near = sorted(str(p) for p in path.parent.glob("*.keras"))[:5]
        hint = f" In that folder: {', '.join(near)}." if near else ""
        raise FileNotFoundError(f"path={str(path)!r} does not exist.{hint}")
    if path.is_dir():
        way_out = (
            "it is a folder; a SavedModel is for serving only: use tf.saved_model.load."
            if (path / "saved_model.pb").exists()
            else "it is a folder."
        )
        raise ValueError(f"path={str(path)!r} must be a .keras file; {way_out}")
    members = set(zipfile.ZipFile(path).namelist()) if zipfile.is_zipfile(path) else set()
    if not members >= {"config.json", "metadata.json"}:
        way_out = "save the model again with model.save('name.keras')."
        if path.suffix in (".h5", ".hdf5"):
            way_out = (
                "weights are loaded with model.load_weights(path) into a model that is built, "
                "whole models of old Keras with keras.saving.load_model(path)."
            )
        raise ValueError(
            f"path={str(path)!r} is no .keras file, or a torn one: it must be a zip archive with "
            f"config.json and metadata.json; {way_out}"
        )
    version = json.loads(zipfile.ZipFile(path).read("metadata.json")).get("keras_version", "")
    if version.startswith("2."):
        raise ValueError(
            f"path={str(path)!r} was written by Keras {version} (tf_keras), and this package works "
            "with Keras 3. Build the model with keras and take its weights: "
            "model.load_weights of the weights that tf_keras saved as .weights.h5."
        )
