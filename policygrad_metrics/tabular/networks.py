"""Networks that a function of the user makes, built without touching any global seed, and lists."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
from collections.abc import Callable, Iterator

import keras
import numpy as np

from policygrad_metrics.training.network import Network

_ONE_AT_A_TIME = threading.Lock()


@dataclasses.dataclass(frozen=True)
class OwnNetwork:
    """A function that makes a network, in the place of a `training.Network`.

    Args:
        function: `(n_features, n_outputs) -> keras.Model`, whose last layer has no activation.
    """

    function: Callable[[int, int], keras.Model]

    def build(self, features: int, outputs: int, seed: int) -> keras.Model:
        """Build the model.

        Args:
            features: columns of the input.
            outputs: columns of the output.
            seed: of the layers that are given no seed of their own, dropout included.

        Raises:
            TypeError: the function returned no Keras model.
            ValueError: its model does not fit the features or outputs, or holds weights that are
                not float32.
        """
        with _keras_seeds(seed):
            network = self.function(features, outputs)
            if not isinstance(network, keras.Model):
                raise TypeError(
                    "hidden must be sizes of layers or a function (n_features, n_outputs) -> "
                    f"keras.Model; the function returned {type(network).__name__}."
                )
            shape = tuple(network(np.zeros([1, features], np.float32)).shape)
        if shape != (1, outputs):
            raise ValueError(
                f"hidden must return a network of {outputs} output columns, [N, {outputs}], for "
                f"this target and policy; outputs have shape {('N', *shape[1:])}. End it with "
                "Dense(n_outputs)."
            )
        wrong = [v.path for v in network.trainable_variables if v.dtype != "float32"]
        if wrong:
            raise ValueError(f"hidden must return a network of float32 weights; not so: {wrong}.")
        return network


@dataclasses.dataclass(frozen=True)
class ListNetwork:
    """A dense network that scores each row of a list, with the weights of one of single rows.

    Args:
        hidden: width of each hidden layer.
        length: rows of a list.

    >>> ListNetwork((8,), length=5).build(3, 5, seed=0).output_shape
    (None, 5)
    """

    hidden: tuple[int, ...]
    length: int

    def build(self, features: int, outputs: int, seed: int) -> keras.Model:
        """Build the model, from `[lists, L, F]` to scores `[lists, L]`."""
        single = Network(self.hidden).build(features, 1, seed)
        inputs = keras.Input((outputs, features))
        values = inputs
        for layer in single.layers[1:]:
            values = type(layer).from_config(layer.get_config())(values)
        model = keras.Model(inputs, keras.layers.Reshape((outputs,))(values))
        model.set_weights(single.get_weights())
        return model


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
