"""The Keras networks behind the estimators, built without touching any global seed."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator

import keras
import numpy as np

_ONE_AT_A_TIME = threading.Lock()


def build_network(
    hidden: tuple[int, ...] | Callable[[int, int], keras.Model],
    features: int,
    outputs: int,
    seed: int,
    dtype: str = "float32",
) -> keras.Model:
    """A network from F features to the policy's outputs.

    Args:
        hidden: sizes of ReLU layers, initialised as Glorot & Bengio (2010); or a function
            `(n_features, n_outputs) -> keras.Model` whose last layer has no activation.
        features: F.
        outputs: number of output columns.
        seed: of the initial weights. For a function it also seeds the layers that are given no
            seed of their own, dropout included.
        dtype: of sizes of layers; what a function returns is float32.

    Raises:
        TypeError: the function returned no Keras model.
        ValueError: its model does not fit the features or outputs, or holds weights that are
            not float32.

    >>> build_network((8,), 3, 2, seed=0).count_params()
    50
    """
    if not callable(hidden):
        return _dense_network(hidden, features, outputs, seed, dtype)
    with _keras_seeds(seed):
        network = hidden(features, outputs)
        if not isinstance(network, keras.Model):
            raise TypeError(
                "hidden must be sizes of layers or a function (n_features, n_outputs) -> "
                f"keras.Model; the function returned {type(network).__name__}."
            )
        shape = tuple(network(np.zeros([1, features], np.float32)).shape)
    if shape != (1, outputs):
        raise ValueError(
            f"hidden must return a network of {outputs} output columns, [N, {outputs}], for this "
            f"target and policy; outputs have shape {('N', *shape[1:])}. End it with "
            "Dense(n_outputs)."
        )
    wrong = [v.path for v in network.trainable_variables if v.dtype != "float32"]
    if wrong:
        raise ValueError(f"hidden must return a network of float32 weights; not so: {wrong}.")
    return network


def _dense_network(hidden, features, outputs, seed, dtype):
    sizes = [features, *hidden, outputs]
    layers = [
        # Zeros at first: Keras's own initialisers would draw a seed from Python's global one.
        keras.layers.Dense(size, kernel_initializer="zeros", activation=activation, dtype=dtype)
        for size, activation in [*((size, "relu") for size in hidden), (outputs, None)]
    ]
    network = keras.Sequential([keras.Input((features,), dtype=dtype), *layers])
    rng = np.random.default_rng(seed)
    for layer, rows, columns in zip(layers, sizes[:-1], sizes[1:], strict=True):
        limit = np.sqrt(6.0 / (rows + columns))
        layer.set_weights([rng.uniform(-limit, limit, [rows, columns]), np.zeros(columns)])
    return network


@contextlib.contextmanager
def _keras_seeds(seed: int) -> Iterator[None]:
    """Let layers without a seed draw theirs from `seed`, and leave Python's generator as it was."""
    with _ONE_AT_A_TIME:
        before = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(before)
