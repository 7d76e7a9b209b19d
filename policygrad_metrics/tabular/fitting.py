"""Epochs, early stopping and prediction on top of a program."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf

from policygrad_metrics.rewards import BlackBox
from policygrad_metrics.tabular.networks import OwnNetwork
from policygrad_metrics.tabular.program import Recipe, TabularProgram, get_program
from policygrad_metrics.tabular.rows import BLOCK, Rows, as_dense
from policygrad_metrics.training.order import hold_out, stratified_batches
from policygrad_metrics.training.step import State
from policygrad_metrics.training.stopping import EarlyStopping

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
    """

    def __init__(self, recipe: Recipe, seed: int, learning_rate: float | None = None):
        self.recipe = recipe
        self.program: TabularProgram = get_program(recipe)
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

    def logits(self, x: Any) -> np.ndarray:
        """The policy's logits of dense or sparse rows, `[N, K]` or `[N, L, 2]`."""
        return np.asarray(self.recipe.policy.logits(self.outputs(x)))

    def strata(self, rows: Rows) -> np.ndarray:
        """What every batch and held-out part should hold in its share: the labels."""
        return np.asarray(self.recipe.labels(rows.y))

    def epoch(self, rows: Rows, batch_size: int | None, use_xla: bool = False) -> float:
        """Train on all rows once; the mean loss, which is NaN if the outputs are not finite."""
        batches = stratified_batches(self.strata(rows), batch_size, self._seed, self._epochs)
        total: Any = 0.0
        for block, some in _blocks(rows, batches):
            self.state, total = self.program.train(
                self.state, block, some, self._seed, total, use_xla=use_xla
            )
        self._epochs += 1
        return float(total) / len(batches)

    def judge(self, rows: Rows) -> tuple[float, float]:
        """The reward of the likeliest labels and the mean cross-entropy."""
        reward, cross_entropy = self.program.judge(self.outputs(rows.x), rows)
        return float(reward), float(cross_entropy)

    def train(
        self,
        rows: Rows,
        held_out: Rows | None,
        epochs: int,
        batch_size: int | None,
        patience: int | None,
        verbose: int,
    ) -> dict[str, list[float]]:
        """Train for some epochs; with patience, return to the best epoch and stop after it.

        The rule is that of `EarlyStopping`, with the reward of the decisions on the held-out part
        and, for patience, the cross-entropy: on a small held-out part the reward moves in jumps,
        between which only the cross-entropy shows that the network still learns.

        Args:
            rows: to train on.
            held_out: to judge on, or None.
            epochs: at most.
            batch_size: None for all rows at once.
            patience: epochs without a new best before training stops, which needs a held-out part;
                None to train all epochs and stay at the last.
            verbose: 1 prints a line each epoch.

        Returns:
            "loss", and with a held-out part "val_<reward>" and "val_cross_entropy": a number for
            each epoch.

        Raises:
            ValueError: training has diverged.
        """
        use_xla = _pays_to_compile(self.recipe, len(rows), epochs, batch_size)
        history: dict[str, list[float]] = {"loss": []}
        if held_out is not None:
            history |= {f"val_{self.recipe.reward.name}": [], "val_cross_entropy": []}
        best = self.state

        def one(epoch):
            values = [self._finite_epoch(rows, batch_size, use_xla, epoch)]
            score, cross_entropy = 0.0, 0.0
            if held_out is not None:
                score, cross_entropy = self.judge(held_out)
                values += [score, cross_entropy]
            for column, value in zip(history.values(), values, strict=True):
                column.append(value)
            if verbose:
                told = (f"{name} {value:.4f}" for name, value in zip(history, values, strict=True))
                print(" - ".join([f"epoch {epoch + 1}/{epochs}", *told]))
            return [score], True, [cross_entropy]

        def keep(_):
            nonlocal best
            best = self.state

        # Without patience there is nothing to choose: the last epoch is kept.
        stopping = EarlyStopping(patience=patience, lengths=None if patience else [epochs])
        stopping.run(epochs, one, keep)
        self.state = tf.nest.map_structure(np.asarray, best)
        return history

    def _finite_epoch(self, rows, batch_size, use_xla, epoch):
        """The mean loss of an epoch, or an error that a person understands."""
        try:
            loss = self.epoch(rows, batch_size, use_xla)
        except tf.errors.OpError as error:  # what Python functions raise in a graph
            own = _OF_A_FUNCTION.search(str(error))
            if own is None:
                raise
            kind = RuntimeError if own["kind"] == "RuntimeError" else ValueError
            raise kind(own["message"].strip()) from error
        if not math.isfinite(loss):
            raise ValueError(
                f"training diverged in epoch {epoch + 1}: outputs are NaN or infinite. Scale X "
                "(for example with StandardScaler), or give a smaller learning_rate."
            )
        return loss


def _pays_to_compile(recipe, rows, epochs, batch_size):
    steps = 1 if batch_size is None else -(-rows // batch_size)
    own = isinstance(recipe.reward, BlackBox) or isinstance(recipe.network, OwnNetwork)
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
