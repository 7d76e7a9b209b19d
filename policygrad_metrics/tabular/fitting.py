"""One network's epochs and predictions, on top of a program."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from policygrad_metrics.tabular.networks import OwnNetwork
from policygrad_metrics.tabular.program import Recipe, TabularProgram, get_program
from policygrad_metrics.tabular.rows import BLOCK, Rows, as_dense
from policygrad_metrics.training.order import hold_out, stratified_batches
from policygrad_metrics.training.program import State

#: Planned steps from which compiling with XLA pays: 1 to 2 s for .1 to .8 ms a step (measured).
STEPS_FOR_XLA = 10_000

#: An error of a reward in Python, in what TensorFlow makes of it: "graph execution error" and the
#: whole traceback of both sides.
_OF_A_FUNCTION = re.compile(
    r"^(?P<kind>ValueError|RuntimeError): (?P<message>(the function of )?reward .*?)(?=\n\n|\Z)",
    re.MULTILINE | re.DOTALL,
)


class Network:
    """A network and the state of its training; pickled as arrays.

    Args:
        recipe: what to build.
        seed: of the weights, the held-out rows, the batches and the sampling estimators.
        learning_rate: None for a schedule.
        program: of the recipe; None to ask for it.
    """

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        learning_rate: float | None = None,
        program: TabularProgram | None = None,
    ):
        self.recipe = recipe
        self.program = program or get_program(recipe)
        self._seed = seed
        self._epochs = 0
        self.state: State = self.program.initial_state(seed, learning_rate)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "program"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.program = get_program(self.recipe)

    def set_optimizer(self, learning_rate: float | None, *, anew: bool) -> None:
        """Set the learning rate; `anew` also forgets what the optimizer remembers.

        Raises:
            ValueError: a number is given and the network is trained by a schedule.
        """
        update = self.program.update
        start = update.initial(None) if anew else self.state.optimizer
        self.state = self.state._replace(optimizer=update.with_rate(start, learning_rate))

    def held_out(self, rows: Rows, share: float) -> np.ndarray:
        """Row numbers of a stratified validation part."""
        return hold_out(self.strata(rows), share, [self._seed, self._epochs, 1])

    def keras_network(self) -> keras.Model:
        """A Keras model of its own with these weights."""
        return self.program.keras_network(self.state)

    def outputs(self, x: Any) -> np.ndarray:
        """The network's outputs for dense or sparse rows, `[N, columns]`."""
        size = max(1, BLOCK // max(1, x.shape[1]))
        blocks = [
            self.program.outputs(self.state, as_dense(x[start : start + size]))
            for start in range(0, max(1, x.shape[0]), size)
        ]
        return np.concatenate([np.asarray(block) for block in blocks])

    def strata(self, rows: Rows) -> np.ndarray:
        """What every batch and held-out part should hold in its share: labels, by group."""
        labels = np.asarray(self.recipe.labels(rows.y))
        if rows.group is None:
            return labels
        if labels.ndim > 1:
            return np.column_stack([rows.group, labels])
        return labels + self.recipe.num_classes * rows.group

    def epoch(self, rows: Rows, batch_size: int | None, use_xla: bool = False) -> float:
        """Train on all rows once; the mean loss, which is NaN if the outputs are not finite.

        Raises:
            ValueError: a function of the user's raised it.
            RuntimeError: the same.
        """
        batches = stratified_batches(self.strata(rows), batch_size, self._seed, self._epochs)
        total: Any = 0.0
        try:
            for block, some in _blocks(rows, batches):
                self.state, total = self.program.train(
                    self.state, block, some, self._seed, total, use_xla=use_xla
                )
        except tf.errors.OpError as error:  # what Python functions raise in a graph
            own = _OF_A_FUNCTION.search(str(error))
            if own is None:
                raise
            kind = RuntimeError if own["kind"] == "RuntimeError" else ValueError
            raise kind(own["message"].strip()) from error
        self._epochs += 1
        return float(total) / len(batches)

    def judge(self, rows: Rows) -> tuple[float, float]:
        """The reward of the likeliest labels and the mean cross-entropy."""
        reward, cross_entropy = self.program.judge(self.outputs(rows.x), rows)
        return float(reward), float(cross_entropy)


def pays_to_compile(recipe: Recipe, rows: int, epochs: int, batch_size: int | None) -> bool:
    """Whether so many epochs of so many rows are long enough for XLA, which takes its time."""
    steps = 1 if batch_size is None else -(-rows // batch_size)
    own = recipe.reward.calls_python or isinstance(recipe.network, OwnNetwork)
    return epochs * steps >= STEPS_FOR_XLA and not own


def _blocks(rows: Rows, batches: np.ndarray) -> Iterator[tuple[Rows, np.ndarray]]:
    """Dense rows with batches of their numbers; sparse rows become dense some batches at a time."""
    if not scipy.sparse.issparse(rows.x):
        yield rows, batches
        return
    size = batches.shape[1]
    group = max(1, BLOCK // max(1, size * rows.x.shape[1]))
    for start in range(0, len(batches), group):
        some = batches[start : start + group]
        part = rows.take(some.ravel())
        dense = dataclasses.replace(part, x=as_dense(part.x))
        yield dense, np.arange(some.size, dtype=np.int32).reshape(some.shape)
